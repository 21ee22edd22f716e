"""Clips as pictures."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from tsm_det.datasets.contact_sheet import SHEET_HEIGHT, SHEET_WIDTH, clip_picture, sheets
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


def shade(k):
    return 60 + 5 * k, 90, 120  # no grey, as the soft edges of letters are


def plain(count, height=40, width=60):
    """Frames of one colour each, none of which is drawn with."""
    return torch.stack([torch.tensor(shade(k), dtype=torch.uint8)[:, None, None].expand(3, height, width)
                        for k in range(count)])


def extent(picture, colour):
    """left, top, right, bottom of a colour; right and bottom are the first without it."""
    rows, columns = np.nonzero((picture == colour).all(axis=-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def cells(picture, count):
    return [extent(picture, shade(k)) for k in range(count)]


def test_a_clip_of_four_frames_has_four_cells_side_by_side_and_each_frame_is_enlarged_threefold():
    found = cells(clip_picture(plain(4), [frame(frame_id=k) for k in range(4)], CLASSES), 4)
    assert {(right - left, bottom - top) for left, top, right, bottom in found} == {(180, 120)}
    assert len({top for _, top, _, _ in found}) == 1
    assert [left for left, *_ in found] == [0, 188, 376, 564]


def test_longer_clips_wrap_into_rows_in_order():
    found = cells(clip_picture(plain(6), [frame(frame_id=k) for k in range(6)], CLASSES), 6)
    assert found[4][0] == found[0][0]
    assert found[5][0] == found[1][0]
    assert found[4][1] == found[5][1] > found[3][3] - 1


@pytest.mark.parametrize(('height', 'width'), [(600, 1000), (1000, 600), (32, 32), (1500, 2600)])
@pytest.mark.parametrize('count', [1, 3, 8])
def test_sheets_are_never_wider_than_a_screen_takes(height, width, count):
    picture = clip_picture(plain(count, height, width), [frame() for _ in range(count)], CLASSES)
    assert picture.shape[1] <= SHEET_WIDTH


def test_box_colours_are_where_the_boxes_are_and_the_object_stays_visible():
    picture = clip_picture(plain(1), [frame([(10, 8, 30, 28)], [7])], CLASSES)
    left, top, right, bottom = cells(picture, 1)[0]
    picture = picture[top:bottom, left:right]
    for x, y in ((30, 54), (90, 54), (60, 24), (60, 84)):  # midpoints of the sides
        assert tuple(picture[y, x]) == label_colour(0)
    assert (picture[26:82, 33:88] == shade(0)).all()
    assert extent(picture, label_colour(0)) == pytest.approx((30, 24, 90, 84), abs=2)


def test_a_track_keeps_its_colour_when_boxes_come_in_another_order_or_not_at_all():
    first, second = (5, 5, 20, 20), (35, 15, 55, 35)
    picture = clip_picture(plain(3), [frame([first, second], [4, 9]), frame([second, first], [9, 4]),
                                      frame([second], [9])], CLASSES)
    for left, top, *_ in cells(picture, 3):
        assert tuple(picture[top + 75, left + 105]) == label_colour(1)
    for left, top, *_ in cells(picture, 2):
        assert tuple(picture[top + 36, left + 15]) == label_colour(0)


def test_ignored_boxes_are_grey():
    picture = clip_picture(plain(1), [frame(ignored=[(10, 8, 30, 28)])], CLASSES)
    left, top, *_ = cells(picture, 1)[0]
    assert tuple(picture[top + 54, left + 30]) == (150, 150, 150)


def test_a_box_without_annotations_loaded_is_no_error():
    sample = DetDataSample(metainfo=dict(frame_id=0, video_id=('image', 4), img_path='a/b.jpg'))
    assert clip_picture(plain(1), [sample], CLASSES).size


def test_values_outside_the_range_of_a_byte_are_cut_not_wrapped():
    clip = torch.stack([torch.full((3, 40, 60), 300.0), torch.full((3, 40, 60), -40.0)])
    picture = clip_picture(clip, [frame(), frame()], CLASSES)
    assert (picture[-100:-20, 10:170] == 255).all()
    assert (picture[-100:-20, 198:358] == 0).all()


def test_many_tracks_wrap_below_the_title_instead_of_running_out_of_the_picture():
    boxes = [(k, k, k + 9, k + 9) for k in range(25)]
    few = clip_picture(plain(1), [frame(boxes[:1], [1])], CLASSES)
    many = clip_picture(plain(1), [frame(boxes, list(range(25)))], CLASSES)
    assert many.shape[1] == few.shape[1]
    swatches = [((many[:-130] == label_colour(k)).all(axis=-1)).sum() for k in range(25)]
    assert min(swatches) >= 18 * 18


def test_pictures_fill_a_sheet_before_the_next_begins():
    pictures = [np.full((SHEET_HEIGHT * 2 // 5, 50 + k, 3), k, np.uint8) for k in range(5)]
    made = list(sheets(pictures))
    assert [sorted(set(sheet[:, 0, 0].tolist())) for sheet in made] == [[0, 1], [2, 3], [4]]
    assert all(len(sheet) <= SHEET_HEIGHT for sheet in made)


def test_a_picture_higher_than_a_sheet_gets_one_of_its_own():
    high = np.zeros((SHEET_HEIGHT + 9, 8, 3), np.uint8)
    assert [len(sheet) for sheet in sheets([high] * 2)] == [len(high)] * 2
