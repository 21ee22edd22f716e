"""How steady detections are along the tracks of true objects.

The errors of Zhang and Wang, "On the Stability of Video Detection and Tracking", 2016 (section 3.2), at one score
threshold, the one of the best F1 of all classes together; and, beside them, how often the shown class of an object
changes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from tsm_det.evaluation.matching import Pairs, greedy_matches, overlapping_pairs
from tsm_det.evaluation.tables import Detections, GroundTruth

_IOU = 0.5
MEASURES = ('fragment', 'centre', 'scale_ratio', 'class_switches')


class TrackErrors(NamedTuple):
    """Errors of T tracks: ``errors`` ``(T, 4)`` in the order of ``MEASURES``, NaN where undefined.

    ``first_frame`` ``(T,)`` is the row of each track's first frame among all frames; ``threshold`` that of the scores.
    """

    errors: np.ndarray
    first_frame: np.ndarray
    threshold: float


def stability_metrics(truth: GroundTruth, tracks: np.ndarray, frame_ids: np.ndarray,
                      detections: Detections) -> dict[str, float]:
    """Return the means of :func:`track_errors` over tracks, ``stability/fragment`` and so on; NaN without a track.

    ``stability/score_thr`` is the threshold; NaN where nothing is matched, and no box counts.
    """
    found = track_errors(truth, tracks, frame_ids, detections)
    return {**{f'stability/{name}': float(column[~np.isnan(column)].mean()) if (~np.isnan(column)).any() else np.nan
               for name, column in zip(MEASURES, found.errors.T, strict=True)}, 'stability/score_thr': found.threshold}


def track_errors(truth: GroundTruth, tracks: np.ndarray, frame_ids: np.ndarray, detections: Detections) -> TrackErrors:
    """Measure each track, lower is steadier.

    - ``fragment``: changes between found and missed, per frame after the first;
    - ``centre``: standard deviations of the centre's error in x and y, in widths and heights of the object;
    - ``scale_ratio``: standard deviations of the error in scale (square root of the area) and in aspect ratio, as
      factors;
    - ``class_switches``: changes of the class of the highest-scoring box on the object, per frame after the first.

    A box is matched to at most one object of its class per frame (the largest sum of IoU, each at least 0.5). Tracks of
    one frame and ignored regions are left out; centre and scale need a track that is found twice.

    Args:
        truth: the true boxes; tracks and frame_ids ``(n,)`` are those of each box.
        detections: of all frames.
    """
    threshold = _best_threshold(truth, detections)
    kept = detections.take(detections.scores >= threshold)
    match = _matches(truth, kept)
    shown = _shown_labels(truth, kept)
    errors, first = [], []
    order = np.lexsort((frame_ids, tracks))
    order = order[~truth.crowd[order]]
    for rows in np.split(order, np.flatnonzero(np.diff(tracks[order])) + 1):
        if len(rows) > 1:
            found = rows[match[rows] >= 0]
            first.append(truth.frames[rows[0]])
            errors.append((_changes(match[rows] >= 0) / (len(rows) - 1),
                           *_spreads(truth.boxes[found], kept.boxes[match[found]]),
                           _changes(shown[rows][shown[rows] >= 0]) / (len(rows) - 1)))
    return TrackErrors(np.array(errors).reshape(-1, len(MEASURES)), np.array(first, int), float(threshold))


def _changes(states: np.ndarray) -> int:
    return sum(before != after for before, after in pairwise(states.tolist()))


def _spreads(truth: np.ndarray, found: np.ndarray) -> tuple[float, float]:
    """Spread of centre, and of scale and ratio, of boxes ``(n, 4)`` on one track; NaN for fewer than two."""
    if len(truth) < 2:
        return np.nan, np.nan
    centre = (found[:, :2] + found[:, 2:] / 2 - truth[:, :2] - truth[:, 2:] / 2) / truth[:, 2:]
    factors = found[:, 2:] / truth[:, 2:]
    scale, ratio = np.sqrt(factors.prod(axis=1)), factors[:, 0] / factors[:, 1]
    return float(centre.std(axis=0).sum()), float(scale.std() + ratio.std())


def _pairs(truth: GroundTruth, detections: Detections, by_class: bool) -> Pairs:
    """Pairs with objects of at least the IoU, of one class or of any."""
    pairs = overlapping_pairs(detections.frames, detections.boxes, truth.frames, truth.boxes)
    is_same = detections.labels[pairs.detection] == truth.labels[pairs.truth]
    return pairs.take((pairs.iou >= _IOU) & ~truth.crowd[pairs.truth] & (is_same | (not by_class)))


def _is_ignored(truth: GroundTruth, detections: Detections) -> np.ndarray:
    """Mark detections of which a share of at least the IoU lies in an ignored region of their class."""
    pairs = overlapping_pairs(detections.frames, detections.boxes, truth.frames, truth.boxes, crowd=truth.crowd)
    inside = (pairs.iou >= _IOU) & truth.crowd[pairs.truth] & (
        detections.labels[pairs.detection] == truth.labels[pairs.truth])
    return np.isin(np.arange(len(detections.scores)), pairs.detection[inside])


def _matches(truth: GroundTruth, detections: Detections) -> np.ndarray:
    """The detection of each true box, -1 for none."""
    pairs = _pairs(truth, detections, by_class=True)
    match = np.full(len(truth.frames), -1)
    frames = truth.frames[pairs.truth]
    order = np.argsort(frames, kind='stable')
    for rows in np.split(order, np.flatnonzero(np.diff(frames[order])) + 1):
        truths, row = np.unique(pairs.truth[rows], return_inverse=True)
        boxes, column = np.unique(pairs.detection[rows], return_inverse=True)
        overlap = np.zeros((len(truths), len(boxes)))
        overlap[row, column] = pairs.iou[rows]
        for i, j in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
            if overlap[i, j]:
                match[truths[i]] = boxes[j]
    return match


def _shown_labels(truth: GroundTruth, detections: Detections) -> np.ndarray:
    """The label of the highest-scoring box on each true box, of any class, the first of equals; -1 for none."""
    pairs = _pairs(truth, detections, by_class=False)
    shown = np.full(len(truth.frames), -1)
    order = np.argsort(-detections.scores[pairs.detection], kind='stable')[::-1]
    shown[pairs.truth[order]] = detections.labels[pairs.detection[order]]  # the last one assigned stays
    return shown


def _best_threshold(truth: GroundTruth, detections: Detections) -> float:
    """The score threshold of the largest F1; NaN, which keeps no box, without a match."""
    pairs = _pairs(truth, detections, by_class=True)
    pairs = pairs.take(np.lexsort((-pairs.iou, pairs.detection)))
    is_right = greedy_matches(pairs.detection, pairs.truth, len(detections.scores), len(truth.frames)) >= 0
    counts = is_right | ~_is_ignored(truth, detections)
    order = np.argsort(-detections.scores, kind='stable')
    order = order[counts[order]]
    scores, right = detections.scores[order], np.cumsum(is_right[order])
    if not len(right) or not right[-1]:
        return np.nan
    f1 = 2 * right / (np.arange(1, len(right) + 1) + (~truth.crowd).sum())
    last = np.append(np.diff(scores) < 0, True)  # of equal scores, all or none
    return float(scores[last][np.argmax(f1[last])])
