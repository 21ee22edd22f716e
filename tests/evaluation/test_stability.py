"""Stability of detections along tracks, against slow loops and by hand."""

from itertools import pairwise, permutations

import numpy as np
import pytest

from tsm_det.evaluation.stability import stability_metrics
from tsm_det.evaluation.tables import Detections, GroundTruth


def truth_of(rows):
    """Rows (frame, track, label, box, crowd) as columns; also the tracks."""
    frames, tracks, labels, boxes, crowd = map(np.array, zip(*rows, strict=True))
    boxes = boxes.astype(float)
    return GroundTruth(frames, labels, boxes, boxes[:, 2] * boxes[:, 3], crowd.astype(bool),
                       np.full(len(rows), np.nan)), tracks


def detections_of(rows):
    rows = sorted(rows, key=lambda row: (row[0], -row[3]))
    frames, labels, boxes, scores = (np.array(column) for column in zip(*rows, strict=True)) if rows else (
        np.zeros(0, int), np.zeros(0, int), np.zeros((0, 4)), np.zeros(0))
    return Detections(frames, labels, boxes.astype(float).reshape(-1, 4), scores.astype(float))


def stability(truth, detections):
    table, tracks = truth_of(truth)
    return stability_metrics(table, tracks, table.frames, detections_of(detections))


BOX = [10, 10, 20, 10]


def test_by_hand():
    truth = [(frame, 1, 0, BOX, 0) for frame in range(5)]
    # Found, found 2 px to the right, missed, found, found with another class on top.
    found = stability(truth, [(0, 0, BOX, 0.9), (1, 0, [12, 10, 20, 10], 0.9), (3, 0, BOX, 0.9), (4, 0, BOX, 0.9),
                              (4, 1, BOX, 0.95)])
    assert found['stability/fragment'] == 2 / 4
    assert found['stability/centre'] == pytest.approx(np.std([0, 0.1, 0, 0]))
    assert found['stability/scale_ratio'] == 0
    assert found['stability/class_switches'] == 1 / 4
    assert found['stability/score_thr'] == 0.9


def test_a_box_of_another_scale_and_ratio():
    truth = [(frame, 1, 0, BOX, 0) for frame in range(2)]
    found = stability(truth, [(0, 0, BOX, 0.9), (1, 0, [10, 10, 20, 14.4], 0.9)])
    assert found['stability/scale_ratio'] == pytest.approx(0.2 / 2 + (1 - 1 / 1.44) / 2)
    assert found['stability/centre'] == pytest.approx(0.22 / 2)


def test_without_detections_or_tracks_of_two_frames_nothing_is_claimed():
    found = stability([(0, 1, 0, BOX, 0), (1, 1, 0, BOX, 0)], [])
    assert (found['stability/fragment'], found['stability/class_switches']) == (0, 0)
    assert np.isnan(found['stability/centre'])
    assert np.isnan(stability([(0, 1, 0, BOX, 0)], [(0, 0, BOX, 0.9)])['stability/fragment'])


def test_ignored_regions_are_no_objects():
    truth = [(frame, 1, 0, BOX, 0) for frame in range(3)]
    region = [(frame, 2, 0, [100, 100, 50, 50], 1) for frame in range(3)]
    boxes = [(frame, 0, BOX, 0.5) for frame in range(3)]
    inside = [(frame, 0, [110, 110, 20, 20], 0.9) for frame in range(3) for _ in range(9)]
    assert stability(truth + region, boxes + inside) == stability(truth, boxes)


def test_a_confident_box_sets_the_threshold_though_a_doubtful_one_fits_better():
    truth = [(frame, 1, 0, BOX, 0) for frame in range(10)]
    boxes = [box for frame in range(10) for box in (
        (frame, 0, [11, 10, 20, 10], 0.9), (frame, 0, [10 + 0.1 * (frame % 2), 10, 20, 10], 0.05))]
    found = stability(truth, boxes)
    assert found['stability/score_thr'] == 0.9
    assert found['stability/centre'] == pytest.approx(0)


def iou(a, b):
    shared = np.prod([max(0, min(a[k] + a[k + 2], b[k] + b[k + 2]) - max(a[k], b[k])) for k in (0, 1)])
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def matched(truth, boxes):
    """By trying all assignments: true row -> detection row with the largest sum of IoU."""
    best, value = {}, -1.0
    for order in permutations([*range(len(boxes)), *[None] * len(truth)], len(truth)):
        pairs = {i: j for i, j in enumerate(order) if j is not None and truth[i][2] == boxes[j][1]
                 and iou(truth[i][3], boxes[j][2]) >= 0.5}
        total = sum(iou(truth[i][3], boxes[j][2]) for i, j in pairs.items())
        if total > value + 1e-12:
            best, value = pairs, total
    return best


def taken(truth, boxes):
    """How many objects are found when boxes choose one after the other, the highest score first."""
    free = list(truth)
    for box in sorted(boxes, key=lambda box: -box[3]):
        near = [row for row in free if row[2] == box[1] and iou(row[3], box[2]) >= 0.5]
        if near:
            free.remove(max(near, key=lambda row: iou(row[3], box[2])))
    return len(truth) - len(free)


def slow(truth, detections):
    """The definitions, step by step, over all thresholds."""
    frames = range(1 + max(row[0] for row in truth))
    best = (0.0, np.nan)
    whole = {frame: [row for row in detections if row[0] == frame] for frame in frames}
    true = {frame: [row for row in truth if row[0] == frame] for frame in frames}
    for threshold in sorted({row[3] for row in detections}, reverse=True):
        kept = sum(row[3] >= threshold for row in detections)
        hits = sum(taken(true[frame], [row for row in whole[frame] if row[3] >= threshold]) for frame in frames)
        f1 = 2 * hits / (kept + len(truth))
        if f1 > best[0] + 1e-12:
            best = (f1, threshold)
    seen = {frame: [row for row in whole[frame] if row[3] >= best[1]] for frame in frames}
    errors = []
    for track in {row[1] for row in truth}:
        states, classes, centres, factors = [], [], [], []
        for frame in frames:
            for i, row in enumerate(true[frame]):
                if row[1] != track:
                    continue
                j = matched(true[frame], seen[frame]).get(i)
                states.append(j is not None)
                if j is not None:
                    a, b = np.array(row[3], float), np.array(seen[frame][j][2], float)
                    centres.append((b[:2] + b[2:] / 2 - a[:2] - a[2:] / 2) / a[2:])
                    factors.append(b[2:] / a[2:])
                near = [box for box in seen[frame] if iou(row[3], box[2]) >= 0.5]
                if near:
                    classes.append(max(near, key=lambda box: box[3])[1])
        if len(states) > 1:
            x = np.array(centres).std(0).sum() if len(centres) > 1 else np.nan
            y = (np.std([np.sqrt(w * h) for w, h in factors]) + np.std([w / h for w, h in factors])
                 if len(factors) > 1 else np.nan)
            errors.append((sum(a != b for a, b in pairwise(states)) / (len(states) - 1), x, y,
                           sum(a != b for a, b in pairwise(classes)) / (len(states) - 1)))
    with np.errstate(all='ignore'):
        return [*(np.nanmean(column) if not np.isnan(column).all() else np.nan
                  for column in np.array(errors).reshape(-1, 4).T), best[1]]


@pytest.mark.parametrize('seed', range(60))
def test_it_equals_the_definitions_on_random_scenes(seed):
    rng = np.random.default_rng(seed)
    truth, detections = [], []
    for track in range(rng.integers(1, 4)):
        box, label = np.array([*rng.uniform(0, 30, 2), *rng.uniform(15, 30, 2)]), int(rng.integers(2))
        for frame in range(5):
            if rng.random() < 0.8:
                truth.append((frame, track, label, (box + rng.normal(0, 1, 4)).tolist(), 0))
            for _ in range(rng.integers(0, 3)):
                if sum(row[0] == frame for row in detections) < 4:
                    score = float(np.round(rng.random(), 1 if seed % 3 == 0 else 9))  # equal scores too
                    detections.append((frame, int(rng.integers(2)), (box + rng.normal(0, 3, 4)).tolist(), score))
    if not truth:
        return
    np.testing.assert_allclose(list(stability(truth, detections).values()), slow(truth, detections), atol=1e-12)
