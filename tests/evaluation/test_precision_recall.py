"""Precision-recall curves."""

import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData

from tests.evaluation.conftest import match
from tsm_det.errors import InputError
from tsm_det.evaluation.evaluation_set import read_results
from tsm_det.evaluation.result_plots import curves_by_class, curves_by_motion, detected_shares, draw_curves
from tsm_det.evaluation.vid_metric import VIDMetric
from tsm_det.png import rendered

STILL = dict.fromkeys(range(6), (4, 4, 16, 16))
FAST = {k: (2 + 9 * k, 28, 12, 12) for k in range(6)}


@pytest.fixture
def noisy(scene):
    """Two videos of boxes that stand, move a little and jump, some detected, with false positives."""
    def noisy(seed=0, **keys):
        rng = np.random.default_rng(seed)
        tracks = {name: {(10 * number + k, ('cat', 'dog')[k % 2]): {
            frame: (*(corner + frame * k / 3 + rng.uniform(0, 30, 2) * (k > 2)), 16, 18)
            for frame in range(6) if rng.random() < 0.8}
            for k, corner in enumerate(rng.uniform(0, 25, (5, 2)))} for number, name in enumerate(('a', 'b'), 1)}
        detections = [(video, frame, tuple(np.array(box) + rng.normal(0, 1.2, 4)), name, rng.random())
                 for video, of_video in tracks.items() for (_, name), boxes in of_video.items()
                 for frame, box in boxes.items()]
        detections += [(video, frame, (*rng.uniform(0, 30, 2), 12, 12), 'cat', rng.random())
                  for video in tracks for frame in range(6)]
        return scene(tracks, detections, **keys)
    return noisy


def scored(config, results):
    """All metrics, as a test run computes them."""
    metric = VIDMetric(config.test_evaluator.ann_file)
    metric.dataset_meta = dict(classes=('cat', 'dog'))
    for frame in read_results(results):
        sample = DetDataSample(metainfo=dict(img_id=frame['img_id'], ori_video_length=6, ori_shape=(48, 64)))
        sample.pred_instances = InstanceData(**frame['pred_instances'])
        clip = TrackDataSample()
        clip.video_data_samples = [sample]
        metric.process({}, [clip.to_dict()])
    return metric.evaluate(size=1)


@pytest.mark.parametrize('seed', range(3))
def test_the_curves_have_the_ap50_that_the_metric_reports(noisy, seed):
    config, results = noisy(seed)
    metrics, (data, ranges) = scored(config, results), match(config, results)
    mean = curves_by_class(ranges[''], data.classes)[-1]
    assert 0.1 < mean.ap50 < 0.95
    assert mean.ap50 == pytest.approx(metrics['coco/AP50'], abs=1e-12)
    *by_motion, every = curves_by_motion(ranges)
    assert every.ap50 == mean.ap50
    assert [curve.ap50 for curve in by_motion] == pytest.approx(
        [metrics[f'coco/AP50_{name}'] for name in ('slow', 'medium', 'fast')], abs=1e-12)


def test_a_class_is_named_after_its_category_whatever_the_order_in_the_file(scene):
    tracks = {'a': {(1, 'cat'): STILL, (2, 'dog'): FAST}}
    data, ranges = match(*scene(tracks, [('a', k, box, 'cat', 0.9) for k, box in STILL.items()]))
    curves = curves_by_class(ranges[''], data.classes)
    assert [(curve.name, curve.boxes, round(curve.ap50, 6)) for curve in curves] == [
        ('cat', 6, 1), ('dog', 6, 0), ('mean of classes', 12, 0.5)]


def test_a_class_or_speed_without_boxes_has_no_line_and_does_not_count_in_the_mean(scene):
    _, ranges = match(*scene({'a': {(1, 'cat'): STILL}}, [('a', k, box, 'cat', 0.9) for k, box in STILL.items()]))
    for curves, names in (
            (curves_by_class(ranges[''], ('cat', 'dog')), ['1.000  cat', '-----  dog', '1.000  mean of classes']),
            (curves_by_motion(ranges), ['1.000  slow', '-----  medium', '-----  fast', '1.000  all'])):
        (axes,) = draw_curves(curves, 'a title', score_thr=0.5).axes
        labels = [text.get_text() for text in axes.get_legend().get_texts()]
        assert all(label.startswith(name) for label, name in zip(labels, names, strict=True))
        drawn = [np.isfinite(line.get_ydata()).all() for line in axes.get_lines() if line.get_marker() == 'None']
        assert drawn == [not name.startswith('-') for name in names]


def test_motion_tells_the_object_that_was_missed(scene):
    _, ranges = match(*scene({'a': {(1, 'cat'): STILL, (2, 'cat'): FAST}},
                             [('a', k, box, 'cat', 0.9) for k, box in STILL.items()]))
    curves = curves_by_motion(ranges)
    assert [(curve.name.split()[0], curve.boxes, round(curve.ap50, 2)) for curve in curves] == [
        ('slow', 6, 1), ('medium', 0, pytest.approx(np.nan, nan_ok=True)), ('fast', 6, 0), ('all', 12, 0.5)]


def test_a_detection_of_an_object_of_another_speed_is_ignored(scene):
    tracks = {'a': {(1, 'cat'): STILL, (2, 'cat'): FAST}}
    detections = [('a', k, box, 'cat', score)
                  for boxes, score in ((STILL, 0.5), (FAST, 0.9)) for k, box in boxes.items()]
    slow, _, fast, whole = curves_by_motion(match(*scene(tracks, detections))[1])
    assert [round(curve.ap50, 6) for curve in (slow, fast, whole)] == [1, 1, 1]


def test_the_legend_names_ap50_and_a_dot_marks_the_threshold(scene):
    detections = [('a', k, box, 'cat', 0.9 - k / 10) for k, box in STILL.items()]
    data, ranges = match(*scene({'a': {(1, 'cat'): STILL}}, detections))
    (axes,) = draw_curves(curves_by_class(ranges[''], data.classes), 'a title', score_thr=0.65).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        '1.000  cat, 6 boxes', '-----  dog, 0 boxes', '1.000  mean of classes, 6 boxes']
    (dot,) = [line for line in axes.get_lines() if line.get_marker() == 'o']
    assert dot.get_xdata()[0] == pytest.approx(0.5, abs=0.011)  # three of six have a higher score


def test_thirty_classes_have_thirty_looks_and_a_legend_inside_the_picture(noisy):
    (curve, *_) = curves_by_motion(match(*noisy())[1])
    figure = draw_curves([curve._replace(name=f'class number {k}') for k in range(31)], 'many')
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].get_lines()}
    assert len(looks) == 31
    image = rendered(figure)
    legend = figure.axes[0].get_legend().get_window_extent()
    assert 0 <= legend.y0 < legend.y1 <= image.shape[0]
    assert legend.x1 <= image.shape[1]


def test_areas_and_crowd_marks_are_optional(noisy):
    config, results = noisy()
    expected = [curve.ap50 for curve in curves_by_motion(match(config, results)[1])]
    with changed_truth(config) as truth:
        for box in truth['annotations']:
            del box['area'], box['iscrowd']
    assert [curve.ap50 for curve in curves_by_motion(match(config, results)[1])] == expected


@contextmanager
def changed_truth(config):
    path = Path(config.test_evaluator.ann_file)
    truth = json.loads(path.read_text())
    yield truth
    path.write_text(json.dumps(truth))


def drop_last_image(truth):
    last = truth['images'].pop()['id']
    truth['annotations'] = [box for box in truth['annotations'] if box['image_id'] != last]


@pytest.mark.parametrize(('change', 'facts'), [
    (lambda truth: drop_last_image(truth), r'12 frames.* 11 .* 11 of'),
    (lambda truth: truth['images'].pop(), 'annotation'),
    (lambda truth: truth['images'].append({**truth['images'][0], 'id': 999, 'frame_id': 99}), r'12 .* 12 .* 13 of'),
    (lambda truth: truth['images'][3].update(id=truth['images'][2]['id']), 'image 7: .* id of another'),
    (lambda truth: truth['images'][3].update(file_name='other.png'), r'12 frames.* 11 .* 12 of'),
    (lambda truth: truth['categories'][1].update(name='cow'), 'category dog.* cat'),
    (lambda truth: truth['annotations'][0].pop('image_id'), 'annotation 1: has no image_id'),
    (lambda truth: truth.pop('annotations'), 'annotations'),
    (lambda truth: truth['annotations'].clear(), 'no box of the classes')])
def test_results_and_ground_truth_that_do_not_fit_are_errors(noisy, change, facts):
    config, results = noisy()
    with changed_truth(config) as truth:
        change(truth)
    with pytest.raises(InputError, match=facts):
        curves_by_class(match(config, results)[1][''], ('cat', 'dog'))


def test_a_config_with_fewer_classes_or_without_ground_truth_is_an_error(noisy):
    config, results = noisy()
    config.test_dataloader.dataset.metainfo.classes = ('cat',)
    with pytest.raises(InputError, match='label 1 .* 1 classes'):
        match(config, results)
    config.test_evaluator = []
    with pytest.raises(InputError, match='test_evaluator'):
        match(config, results)


def test_the_shares_are_of_boxes_with_a_detection_and_of_those_with_the_right_class(scene):
    detections = [('a', k, STILL[k], 'cat', 0.5) for k in range(4)]  # 4 of 6 boxes, one with a better wrong class
    detections += [('a', 0, STILL[0], 'dog', 0.9), ('a', 1, STILL[1], 'dog', 0.1), ('a', 5, (40, 30, 9, 9), 'cat', 1)]
    data, ranges = match(*scene({'a': {(1, 'cat'): STILL}}, detections))
    assert detected_shares(data.ground_truth, ranges[''].detections) == (4 / 6, 3 / 4)
