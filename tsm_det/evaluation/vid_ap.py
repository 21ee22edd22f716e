"""The protocols ``fgfa`` and ``mega``: AP50 of two released ImageNet VID evaluations.

Both were written for a file of motion IoUs of VID's validation set, and count a box without one as fast; here it is in
no range of motion. They have no ignored regions; here a detection that matches no box and lies half in one of its class
does not count.
"""

from __future__ import annotations

import math

import numpy as np

from tsm_det.cocovid.motion import MOTION_RANGES
from tsm_det.evaluation.matching import Pairs, greedy_matches, overlapping_pairs
from tsm_det.evaluation.tables import Detections, GroundTruth, within

# Sides of 50 and 150 px, in px^2.
AREA_RANGES = {'small': (0.0, 50.0 ** 2), 'medium': (50.0 ** 2, 150.0 ** 2), 'large': (150.0 ** 2, np.inf)}
_MOTION = {'': None, **{f'_{name}': limits for name, limits in MOTION_RANGES.items()}}


def fgfa_metrics(truth: GroundTruth, detections: Detections, num_classes: int) -> dict[str, float]:
    """``fgfa/AP50``, the evaluation released with FGFA (Zhu et al., ICCV 2017; ``imagenet_vid_eval_motion.py``).

    All widths and heights grow by 1 px. Small boxes need a lower IoU: that of a box shifted and stretched by 10 px,
    at most 0.5. A detection takes the free box of its class with the highest IoU, whatever its motion and area, and
    counts if both are in the range. An unmatched detection is a false positive by its overlap with boxes of any class
    with motion in and out of the range, unless its own area is out of the range. Also ``_slow`` ... ``_area_large``.
    """
    truth, ignored = _without_regions(truth, detections, num_classes)
    sides, areas = truth.boxes[:, 2:] + 1, np.prod(truth.boxes[:, 2:] + 1, axis=1)
    detected_areas = np.prod(detections.boxes[:, 2:] + 1, axis=1)
    pairs = overlapping_pairs(detections.frames, detections.boxes, truth.frames, truth.boxes, grown=1)
    enough = pairs.iou >= np.minimum(0.5, areas / np.prod(sides + 10, axis=1))[pairs.truth]
    near = pairs.take(enough & (detections.labels[pairs.detection] == truth.labels[pairs.truth]))
    near = near.take(np.lexsort((near.truth, -near.iou, near.detection)))
    matches = greedy_matches(near.detection, near.truth, len(detections.scores), len(areas))
    metrics, ranges = {}, {suffix: (motion, None) for suffix, motion in _MOTION.items()}
    ranges |= {f'_area_{name}': (None, limits) for name, limits in AREA_RANGES.items()}
    for suffix, (motion, area) in ranges.items():
        moving = within(truth.motion, motion)
        inside = moving & within(areas, area)
        weights = _false_positives(pairs, detections.frames, truth.frames, moving)
        weights *= within(detected_areas, area) & ~ignored
        metrics[f'fgfa/AP50{suffix}'] = _mean_ap(truth, detections, num_classes, inside, matches, weights)
    return metrics


def mega_metrics(truth: GroundTruth, detections: Detections, num_classes: int) -> dict[str, float]:
    """``mega/AP50``, the evaluation released with MEGA (Chen et al., CVPR 2020; ``vid_eval.py``).

    Widths and heights grow by 2 px in the IoU, which must reach 0.5. Of boxes with equal IoU a detection takes the
    first in the range, else the last out of it. False positives are weighted by the boxes of their own class alone.
    Also ``_slow``, ``_medium``, ``_fast``.
    """
    truth, ignored = _without_regions(truth, detections, num_classes)
    # A place is a class in a frame.
    truth_places, detection_places = (table.frames * num_classes + table.labels for table in (truth, detections))
    pairs = overlapping_pairs(detection_places, detections.boxes, truth_places, truth.boxes, grown=2)
    near = pairs.take(pairs.iou >= 0.5)
    metrics = {}
    for suffix, motion in _MOTION.items():
        inside = within(truth.motion, motion)
        liked = inside[near.truth]
        wishes = near.take(np.lexsort((np.where(liked, near.truth, -near.truth), ~liked, -near.iou, near.detection)))
        matches = greedy_matches(wishes.detection, wishes.truth, len(detections.scores), len(inside))
        weights = _false_positives(pairs, detection_places, truth_places, inside) * ~ignored
        metrics[f'mega/AP50{suffix}'] = _mean_ap(truth, detections, num_classes, inside, matches, weights)
    return metrics


def _without_regions(truth: GroundTruth, detections: Detections, num_classes: int) -> tuple[GroundTruth, np.ndarray]:
    """Return the boxes without the ignored regions, and marks of the detections in such a region, ``(n,)``."""
    boxes, regions = (GroundTruth(*(column[rows] for column in truth)) for rows in (~truth.crowd, truth.crowd))
    places, detection_places = (table.frames * num_classes + table.labels for table in (regions, detections))
    pairs = overlapping_pairs(detection_places, detections.boxes, places, regions.boxes, crowd=regions.crowd)
    ignored = np.zeros(len(detections.scores), bool)
    ignored[pairs.detection[pairs.iou >= 0.5]] = True
    return boxes, ignored


def _false_positives(pairs: Pairs, detection_places: np.ndarray, truth_places: np.ndarray,
                     inside: np.ndarray) -> np.ndarray:
    """Weight of each detection as a false positive, should it match no box: ``(n,)`` from 0 to 1.

    1 if it overlaps a box in the range more than any out of it, 0 the other way round. On a tie: the share of its
    place's boxes that are out of the range, or in a place without boxes, the share of all boxes in the range.
    """
    places, compact = np.unique(np.concatenate([detection_places, truth_places]), return_inverse=True)
    at_detection, at_truth = np.split(compact.reshape(-1), [len(detection_places)])
    inner, outer = (np.bincount(at_truth[chosen], minlength=len(places))[at_detection] for chosen in (inside, ~inside))
    best_inner, best_outer = (np.where(count > 0, 0.0, -1.0) for count in (inner, outer))
    for best, chosen in ((best_inner, inside[pairs.truth]), (best_outer, ~inside[pairs.truth])):
        np.maximum.at(best, pairs.detection[chosen], pairs.iou[chosen])
    elsewhere = inside.mean() if len(inside) else 0.0
    tie = np.divide(outer, inner + outer, out=np.full(len(outer), elsewhere), where=inner + outer > 0)
    return np.select([best_inner > best_outer, best_outer > best_inner], [1.0, 0.0], tie)


def _mean_ap(truth: GroundTruth, detections: Detections, num_classes: int, inside: np.ndarray, matches: np.ndarray,
             weights: np.ndarray) -> float:
    """Mean over the classes with a box in the range; NaN without any."""
    hits = (matches >= 0) & np.append(inside, False)[matches]
    wrong = np.where(matches >= 0, 0.0, weights)
    order = np.argsort(-detections.scores, kind='stable')
    hits, wrong, labels = hits[order], wrong[order], detections.labels[order]
    positives = np.bincount(truth.labels[inside], minlength=num_classes)
    values = [_average_precision(hits[labels == label], wrong[labels == label], positives[label])
              for label in np.flatnonzero(positives)]
    return float(np.mean(values)) if values else math.nan


def _average_precision(hits: np.ndarray, wrong: np.ndarray, positives: int) -> float:
    """Area under the best precision at each recall or beyond; detections by falling score."""
    right, wrong = np.cumsum(hits), np.cumsum(wrong)
    # The precision is 0 where nothing counts yet.
    precision = right / np.maximum(right + wrong, np.finfo(np.float64).eps)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(right / positives, prepend=0.0) * best))
