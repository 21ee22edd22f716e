"""Clips as pictures."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from tsm_det.datasets.contact_sheet import clip_figure
from tsm_det.png import rendered
from tsm_det.video.drawing import label_colour

CLASSES = ('cat', 'dog')


def frame(boxes=(), tracks=(), frame_id=0, labels=None, ignored=()):
    sample = DetDataSample(metainfo=dict(
        frame_id=frame_id, video_id=3, img_path='videos/a.mp4', img_shape=(40, 60), flip=False))
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float).reshape(-1, 4), instances_ids=torch.tensor(tracks).int(),
        labels=torch.tensor(labels or [0] * len(boxes)).long())
    sample.ignored_instances = InstanceData(bboxes=torch.tensor(ignored, dtype=torch.float).reshape(-1, 4),
                                            labels=torch.zeros(len(ignored)).long())
    return sample


def plain(count, height=40, width=60):
    """Frames of one colour each."""
    return torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, 3, height, width)


def cells(frames, clip):
    """For each frame of a clip: its pixels, and the coloured rectangles as (box, edge colour)."""
    axes = [axis for axis in clip_figure(frames, clip, CLASSES).axes if axis.images]
    return [(axis.images[0].get_array(), [(extent(patch), patch.get_edgecolor()[:3]) for patch in axis.patches[1::2]])
            for axis in axes]


def extent(patch):
    """x1, y1, x2, y2 in px of the frame, whose top left pixel has its centre at 0, 0."""
    x, y = np.add(patch.get_xy(), 0.5)
    return x, y, x + patch.get_width(), y + patch.get_height()


def colour(place):
    return pytest.approx(np.array(label_colour(place)[::-1]) / 255)


@pytest.mark.parametrize('count', [1, 4, 6])
def test_frames_come_in_order(count):
    found = cells(plain(count), [frame(frame_id=k) for k in range(count)])
    assert [image.max() for image, _ in found] == list(range(count))


@pytest.mark.parametrize(('height', 'width'), [(600, 1000), (32, 32), (1500, 1000)])
@pytest.mark.parametrize('count', [1, 3, 8])
def test_a_sheet_holds_its_frames_at_any_size(height, width, count):
    picture = rendered(clip_figure(plain(count, height, width), [frame() for _ in range(count)], CLASSES))
    assert picture.shape[1] == 2400
    assert (picture < 20).all(axis=-1).mean() > (0.1 if count == 1 else 0.3)


def test_a_track_keeps_its_colour_when_boxes_come_in_another_order_or_not_at_all():
    first, second = (5, 5, 20, 20), (35, 15, 55, 35)
    found = cells(plain(3), [frame([first, second], [4, 9]), frame([second, first], [9, 4]), frame([second], [9])])
    for _, boxes in found:
        assert all(edge == colour(0 if box == first else 1) for box, edge in boxes)
    assert [len(boxes) for _, boxes in found] == [2, 2, 1]


def test_ignored_boxes_are_grey():
    [(_, boxes)] = cells(plain(1), [frame(ignored=[(10, 8, 30, 28)])])
    assert boxes == [((10, 8, 30, 28), pytest.approx((0.6, 0.6, 0.6)))]


def test_a_sample_without_annotations_is_no_error():
    sample = DetDataSample(metainfo=dict(frame_id=0, video_id=('image', 4), img_path='a/b.jpg'))
    assert cells(plain(1), [sample])[0][1] == []


def test_values_outside_the_range_of_a_byte_are_clipped_not_wrapped():
    clip = torch.stack([torch.full((3, 40, 60), 300.0), torch.full((3, 40, 60), -40.0)])
    assert [image.mean() for image, _ in cells(clip, [frame(), frame()])] == [255, 0]


def test_the_legend_names_every_track():
    boxes = [(k, k, k + 9, k + 9) for k in range(25)]
    figure = clip_figure(plain(1), [frame(boxes, list(range(25)))], CLASSES)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f'cat #{k}' for k in range(25)]
