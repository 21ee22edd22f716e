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
from tsm_det.evaluation import vid_metric
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
    with pytest.raises(InputError, match=f'{len(chosen)} frames.* {len(set(chosen))} are among the 7 of'):
        score(path, [detected(10 + k, boxes) for k in chosen])


MOTION_KEYS = [f'{protocol}/AP50_{name}'
               for protocol in ('coco', 'fgfa', 'mega') for name in ('slow', 'medium', 'fast')]


def with_instance_ids(path, instance_id):
    """The same file with ``instance_id(number of the annotation)``."""
    content = json.loads(Path(path).read_text())
    for k, annotation in enumerate(content['annotations']):
        annotation['instance_id'] = instance_id(k)
    other = Path(path).with_name('tracks.json')
    other.write_text(json.dumps(content))
    return str(other)


@pytest.fixture
def logged(monkeypatch):
    lines = []
    monkeypatch.setattr(vid_metric, 'print_log', lambda message, *_, **__: lines.append(message))
    return lines


@pytest.mark.parametrize('instance_id', [None, lambda k: 0, lambda k: None, lambda k: k])
def test_without_tracks_the_metric_says_what_motion_needs_and_gives_the_rest(truth, logged, instance_id):
    path, boxes = truth
    path = with_instance_ids(path, instance_id) if instance_id else path
    scores = score(path, [detected(10 + k, boxes) for k in range(7)])
    said = [line for line in logged if 'instance_id' in line]
    assert len(said) == 1 and 'stability' in said[0]
    assert 'convert_dataset.py' in said[0]
    assert all(math.isnan(scores[key]) for key in MOTION_KEYS)
    assert all(0 < scores[key] < 1 for key in ('fgfa/AP50', 'fgfa/AP50_area_small', 'mega/AP50', 'coco/AP50'))


def test_with_tracks_nothing_is_said(truth, logged):
    path, boxes = truth
    scores = score(with_instance_ids(path, lambda k: 1 + k % 3), [detected(10 + k, boxes) for k in range(7)])
    assert not [line for line in logged if 'instance_id' in line]
    assert all(0 <= scores[f'{protocol}/AP50_fast'] <= 1 for protocol in ('coco', 'fgfa', 'mega'))


def test_the_same_instance_id_in_two_videos_is_two_tracks(truth):
    path, boxes = truth
    # Frame id 0 of the second video lies within 10 frames of the first video's.
    frames = [detected(10 + k, boxes) for k in range(7)]
    shared = score(with_instance_ids(path, lambda k: 1 + k % 3), frames)
    own = score(with_instance_ids(path, lambda k: 1 + k % 3 + (50 if k >= 18 else 0)), frames)
    np.testing.assert_equal(shared, own)


@pytest.mark.parametrize('protocol', ['coco', 'fgfa', 'mega', 'stability'])
def test_only_the_protocols_that_were_asked_for_are_scored(truth, protocol):
    path, boxes = truth
    path = with_instance_ids(path, lambda k: 1 + k % 3)
    frames = [detected(10 + k, boxes) for k in range(7)]
    scores, every = score(path, frames, protocols=[protocol]), score(path, frames)
    assert {key.split('/')[0] for key in scores} == {protocol, 'frames_scored', 'frames_total'}
    np.testing.assert_equal(scores, {key: every[key] for key in scores})


def test_first_frames_are_those_with_the_lowest_frame_ids_of_each_video(truth):
    path, boxes = truth
    content = json.loads(Path(path).read_text())
    for image in content['images'][:6]:
        image['frame_id'] = 30 - image['frame_id']
    Path(path).write_text(json.dumps(content))
    frames = [detected(10 + k, boxes) for k in range(7)]
    for k in (5, 4, 6):
        frames[k].pred_instances = frames[k].pred_instances[:0]
    scores = score(path, frames, first_frames=2)
    assert scores['coco/AP50_first'] == 0
    assert scores['coco/AP50_rest'] > scores['coco/AP50'] > 0


def test_counting_the_key_frame_makes_objects_slower(truth):
    path, boxes = truth
    content = json.loads(Path(path).read_text())
    content['annotations'] = [
        dict(id=k + 1, image_id=10 + k, bbox=[50 * k, 0, 45, 45], area=2025, iscrowd=0, category_id=9, instance_id=1)
        for k in range(2)]  # motion IoU 0, with itself 0.5
    Path(path).write_text(json.dumps(content))
    frames = [detected(10 + k, boxes) for k in range(7)]
    assert math.isnan(score(path, frames)['coco/AP50_medium'])
    content['annotations'][1]['bbox'] = [18, 0, 45, 45]  # 27 of 63 columns are shared: 0.43, with itself 0.71
    Path(path).write_text(json.dumps(content))
    assert math.isnan(score(path, frames)['coco/AP50_medium'])
    assert not math.isnan(score(path, frames, count_key_frame=True)['coco/AP50_medium'])


def test_no_boxes_at_all_have_no_score(truth):
    path, boxes = truth
    content = json.loads(Path(path).read_text())
    content['annotations'] = []
    Path(path).write_text(json.dumps(content))
    scores = score(path, [detected(10 + k, boxes) for k in range(7)])
    assert all(math.isnan(value) for key, value in scores.items() if '/' in key)


@pytest.mark.parametrize(('keys', 'message'), [
    (dict(protocols=['coco', 'voc']), 'voc.* coco, fgfa, mega'),
    (dict(protocols='coco'), "'coco'"),
    (dict(first_frames=0), 'first_frames=0'),
    (dict(subsets=dict(fast=dict(degraded=False))), 'subsets has fast'),
])
def test_keys_that_make_no_sense_are_errors(truth, keys, message):
    with pytest.raises(InputError, match=message):
        VIDMetric(truth[0], **keys)


@pytest.mark.parametrize('frame_id', [None, 0])
def test_a_video_id_of_null_is_a_still_of_its_own(truth, frame_id):
    path, boxes = truth
    content = json.loads(Path(path).read_text())
    for image in content['images']:
        image.update(video_id=None, frame_id=frame_id)
    for k, annotation in enumerate(content['annotations']):
        annotation['instance_id'] = 1 + k % 3
    Path(path).write_text(json.dumps(content))
    scores = score(path, [detected(10 + k, boxes) for k in range(7)], first_frames=1)
    assert all(math.isnan(scores[f'fgfa/AP50_{speed}']) for speed in ('slow', 'medium', 'fast'))
    assert scores['coco/AP50_first'] == scores['coco/AP50'] and math.isnan(scores['coco/AP50_rest'])
