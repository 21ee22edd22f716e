"""Scoring every frame once."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.evaluation.metrics import CocoMetric
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData

from tsm_det.errors import InputError
from tsm_det.evaluation.vid_metric import VIDMetric

CLASSES = ('cat', 'dog')


@pytest.fixture
def truth(tmp_path):
    """Two videos of 6 and 1 frames with random boxes; every second frame is degraded."""
    rng = np.random.default_rng(0)
    images = [dict(id=10 + k, file_name=f'{k}.png', width=100, height=100, video_id=1 + k // 6, frame_id=k % 6,
                   degraded=k % 2 == 1) for k in range(7)]
    boxes = [(image['id'], [*rng.uniform(0, 60, 2).tolist(), *rng.uniform(15, 40, 2).tolist()], int(rng.integers(2)))
             for image in images for _ in range(3)]
    content = dict(
        images=images, videos=[dict(id=1, name='a'), dict(id=2, name='b')],
        categories=[dict(id=9, name='cat'), dict(id=4, name='dog')],
        annotations=[dict(id=i + 1, image_id=image_id, bbox=box, area=box[2] * box[3], iscrowd=0,
                          category_id=(9, 4)[label]) for i, (image_id, box, label) in enumerate(boxes)])
    path = tmp_path / 'truth.json'
    path.write_text(json.dumps(content))
    return str(path), boxes


def detected(img_id, boxes, seed=0):
    """A frame's boxes, moved at random, some relabelled, and one false alarm."""
    generator = torch.Generator().manual_seed(seed + img_id)
    found = torch.tensor([[x, y, x + w, y + h] for i, (x, y, w, h), _ in boxes if i == img_id] + [[0., 0., 30., 30.]])
    labels = torch.tensor([label for i, _, label in boxes if i == img_id] + [0])
    labels = torch.where(torch.rand(len(labels), generator=generator) < 0.2, 1 - labels, labels)
    sample = DetDataSample(metainfo=dict(img_id=img_id, ori_video_length=6, ori_shape=(100, 100)))
    sample.pred_instances = InstanceData(bboxes=found + torch.randn(found.shape, generator=generator) * 2,
                                         labels=labels, scores=torch.rand(len(found), generator=generator))
    return sample


def score(path, frames, clip_length=1, classes=CLASSES, **keys):
    metric = VIDMetric(path, **keys)
    metric.dataset_meta = dict(classes=classes)
    for start in range(0, len(frames), clip_length):
        clip = TrackDataSample()
        clip.video_data_samples = frames[start:start + clip_length]
        metric.process({}, [clip.to_dict()])
    return metric.evaluate(size=2)


@pytest.mark.parametrize('clip_length', [1, 3])
def test_all_frames_are_scored_as_mmdets_metric_scores_images(truth, clip_length):
    path, boxes = truth
    frames = [detected(10 + k, boxes) for k in range(7)]
    ours = score(path, frames, clip_length)
    theirs = CocoMetric(ann_file=path, metric='bbox')
    theirs.dataset_meta = dict(classes=CLASSES)
    theirs.process({}, [frame.to_dict() for frame in frames])
    expected = theirs.evaluate(size=7)
    assert 0.1 < ours['coco/AP50'] < 0.95
    for name, key in (('AP', 'mAP'), ('AP50', 'mAP_50'), ('AP75', 'mAP_75')):
        assert ours[f'coco/{name}'] == pytest.approx(expected[f'coco/bbox_{key}'], abs=5.1e-4)  # theirs is rounded
    assert (ours['frames_scored'], ours['frames_total']) == (7, 7)


def test_the_order_of_categories_in_the_file_does_not_matter(truth, tmp_path):
    path, boxes = truth
    frames = [detected(10 + k, boxes) for k in range(7)]
    content = json.loads(Path(path).read_text())
    content['categories'].reverse()
    other = tmp_path / 'reversed.json'
    other.write_text(json.dumps(content))
    assert score(str(other), frames) == score(path, frames)


def test_only_the_classes_that_were_asked_for_count(truth):
    path, boxes = truth
    content = json.loads(Path(path).read_text())
    frames = []
    for image in content['images']:
        found = torch.tensor([[x, y, x + w, y + h] for i, (x, y, w, h), label in boxes if i == image['id'] and label],
                             dtype=torch.float64).reshape(-1, 4)
        sample = DetDataSample(metainfo=dict(img_id=image['id'], ori_video_length=6, ori_shape=(100, 100)))
        sample.pred_instances = InstanceData(bboxes=found, scores=torch.ones(len(found)),
                                             labels=torch.zeros(len(found), dtype=torch.long))
        frames.append(sample)
    assert score(path, frames, classes=('dog',))['coco/AP50'] == pytest.approx(1)


def test_a_subset_scores_its_own_frames(truth):
    path, boxes = truth
    frames = [detected(10 + k, boxes) for k in range(7)]
    for k in (1, 3, 5):
        frames[k].pred_instances = frames[k].pred_instances[:0]
    scores = score(path, frames, subsets=dict(clean=dict(degraded=False), degraded=dict(degraded=True),
                                              night=dict(dark=True)))
    assert scores['coco/AP50_degraded'] == 0
    assert scores['coco/AP50_clean'] > scores['coco/AP50'] > 0
    assert math.isnan(scores['coco/AP50_night'])


def test_no_detection_at_all_scores_zero(truth):
    path, boxes = truth
    frames = [detected(10 + k, boxes) for k in range(7)]
    for frame in frames:
        frame.pred_instances = frame.pred_instances[:0]
    assert score(path, frames)['coco/AP50'] == 0


@pytest.mark.parametrize('chosen', [[0, 1, 2], [0, 1, 2, 3, 4, 5, 6, 6], [0, 1, 2, 3, 4, 5, 5]])
def test_a_frame_that_is_missed_or_scored_twice_is_an_error(truth, chosen):
    path, boxes = truth
    with pytest.raises(InputError, match=f'{len(chosen)} frames .* were scored but .* has 7'):
        score(path, [detected(10 + k, boxes) for k in chosen])
