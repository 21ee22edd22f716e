"""The three protocols against their definitions read slowly, and coco against pycocotools itself."""

import contextlib
import io
import json
import math

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.evaluation.random_scene import CLASSES, random_scene
from tests.evaluation.slow_protocols import MOTION, motion_of, score_slowly
from tsm_det.evaluation.vid_metric import VIDMetric


def score(content, results, path, **keys):
    (path / 'truth.json').write_text(json.dumps(content))
    metric = VIDMetric(str(path / 'truth.json'), **keys)
    metric.dataset_meta = dict(classes=CLASSES)
    return metric.compute_metrics([
        (img_id, np.array(boxes, float).reshape(-1, 4), np.array(scores, float), np.array(labels, int))
        for img_id, boxes, scores, labels in results])


def differing(ours, expected):
    """Keys whose values are not the same to 1e-9, both NaN or neither."""
    return {key: (ours[key], value) for key, value in expected.items()
            if math.isnan(ours[key]) != math.isnan(value) or abs(ours[key] - value) > 1e-9}


@pytest.mark.parametrize('seed', range(200))
def test_the_protocols_are_what_their_definitions_say(tmp_path, seed):
    content, results = random_scene(seed)
    keys = dict(first_frames=2, count_key_frame=seed % 2 == 1)
    ours = score(content, results, tmp_path, **keys)
    expected = score_slowly(content, results, CLASSES, **keys)
    assert {key for key in ours if not key.startswith('stability/')} == {*expected, 'frames_scored', 'frames_total'}
    assert not differing(ours, expected)


def test_the_random_scenes_hold_what_is_hard():
    borders, alone, values = set(), 0, {}
    for seed in range(200):
        content, results = random_scene(seed)
        images = {image['id']: image for image in content['images']}
        motion = [motion_of(entry, content['annotations'], images, False) for entry in content['annotations']]
        alone += motion.count(None)
        borders |= {float(value) for value in motion if value is not None} & {0.7, 0.9}
        for key, value in score_slowly(content, results, CLASSES, first_frames=2).items():
            values.setdefault(key, []).append(value)
    assert borders == {0.7, 0.9} and alone > 50
    for key, scores in values.items():
        assert sum(0.01 < value < 0.99 for value in scores) > 20, key


def scene(tracks, detections):
    """Frames 0 and 1 of a video of cats; a track is its boxes in them, a detection (frame, xywh box, score)."""
    images = [dict(id=k, video_id=1, frame_id=k) for k in range(2)]
    annotations = [dict(image_id=frame, category_id=1, instance_id=number, bbox=box, area=box[2] * box[3], iscrowd=0)
                   for number, boxes in enumerate(tracks, start=1) for frame, box in enumerate(boxes) if box]
    for number, annotation in enumerate(annotations):
        annotation['id'] = number
    categories = [dict(id=k, name=name) for k, name in enumerate(CLASSES, start=1)]
    results = []
    for k in range(2):
        found = [((x, y, x + w, y + h), score) for frame, (x, y, w, h), score in detections if frame == k]
        results.append((k, [box for box, _ in found], [score for _, score in found], [0] * len(found)))
    return dict(images=images, annotations=annotations, categories=categories), results


LEFT, BETWEEN, RIGHT, GONE = [0, 0, 20, 20], [5, 0, 20, 20], [10, 0, 20, 20], [200, 0, 20, 20]


@pytest.mark.parametrize(('tracks', 'expected'), [
    ([[LEFT, None], [RIGHT, None]], {'coco': 1, 'fgfa': 0.5, 'mega': 0.5}),
    ([[RIGHT, None], [LEFT, None]], {'coco': 51 / 101, 'fgfa': 1, 'mega': 1}),
])
def test_of_boxes_at_equal_iou_coco_takes_the_last_the_others_the_first(tmp_path, tracks, expected):
    # The second detection finds the left box alone, if the first has not taken it.
    ours = score(*scene(tracks, [(0, BETWEEN, 0.9), (0, LEFT, 0.8)]), tmp_path)
    assert {name: ours[f'{name}/AP50'] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize(('fast', 'expected'), [([LEFT, RIGHT], 1), ([RIGHT, LEFT], (1 + 2 / 3) / 2)])
def test_of_boxes_out_of_the_range_at_equal_iou_mega_takes_the_last(tmp_path, fast, expected):
    # The third detection comes too late for the slow box: it is a false alarm unless the left one is left to it.
    slow = [1, 0, 20, 20]
    content, results = scene([*([box, GONE] for box in fast), [slow, slow]],
                             [(0, slow, 0.9), (0, BETWEEN, 0.8), (0, slow, 0.7), (1, slow, 0.5)])
    assert score(content, results, tmp_path)['mega/AP50_slow'] == pytest.approx(expected)
    assert score_slowly(content, results, CLASSES)['mega/AP50_slow'] == pytest.approx(expected)


class ByMotion(COCOeval):
    """pycocotools with more ground truth to ignore; ``left_out`` holds ids of annotations."""

    left_out = frozenset()

    def _prepare(self):
        super()._prepare()
        for entries in self._gts.values():
            for entry in entries:
                entry['ignore'] = entry['ignore'] or entry['id'] in self.left_out


def by_pycocotools(content, results, path, left_out=()):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path / 'truth.json'))
        category = {entry['name']: entry['id'] for entry in content['categories']}
        found = truth.loadRes([
            dict(image_id=img_id, category_id=category[CLASSES[label]], score=score,
                 bbox=[x1, y1, x2 - x1, y2 - y1])
            for img_id, *columns in sorted(results) for (x1, y1, x2, y2), score, label in zip(*columns, strict=True)])
        evaluation = ByMotion(truth, found, 'bbox')
        evaluation.left_out = frozenset(left_out)
        evaluation.params.catIds = [category[name] for name in CLASSES]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.where(evaluation.stats < 0, np.nan, evaluation.stats).tolist()


@pytest.mark.parametrize('seed', range(0, 60, 2))
def test_coco_is_pycocotools(tmp_path, seed):
    content, results = random_scene(seed)
    if not any(boxes for _, boxes, *_ in results):
        pytest.skip('pycocotools cannot read a test run without detections')
    ours = score(content, results, tmp_path, protocols=['coco'])
    names = ('AP', 'AP50', 'AP75', 'AP_area_small', 'AP_area_medium', 'AP_area_large')
    expected = dict(zip([f'coco/{name}' for name in names], by_pycocotools(content, results, tmp_path), strict=False))
    images = {image['id']: image for image in content['images']}
    motion = {entry['id']: motion_of(entry, content['annotations'], images, False) for entry in content['annotations']}
    for name, (low, high) in MOTION.items():
        left_out = [key for key, value in motion.items() if value is None or not low <= value <= high]
        scores = by_pycocotools(content, results, tmp_path, left_out)
        expected |= {f'coco/{kind}_{name}': value for kind, value in zip(('AP', 'AP50', 'AP75'), scores, strict=False)}
    assert not differing(ours, expected)


@pytest.mark.parametrize('seed', range(5))
def test_the_order_of_annotations_and_of_frames_does_not_matter(tmp_path, seed):
    content, results = random_scene(seed)
    expected = score(content, results, tmp_path)
    content['annotations'].reverse()
    content['images'].reverse()
    assert not differing(score(content, results[::-1], tmp_path), expected)
