"""The protocols ``fgfa`` and ``mega``: AP50 as two released ImageNet VID evaluations count it.

Both were written for a file of motion IoUs of VID's validation set and take a box without one for a fast one; here it
is in no range of motion. They know no crowd regions: here these are out of every range, as a box is.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tsm_det.cocovid.motion import MOTION_RANGES
from tsm_det.evaluation.matching import Pairs, greedy_matches, overlapping_pairs
from tsm_det.evaluation.tables import Found, Truth, within

# Sides of 50 and 150 px, in px^2.
AREA_RANGES = {'small': (0.0, 50.0 ** 2), 'medium': (50.0 ** 2, 150.0 ** 2), 'large': (150.0 ** 2, np.inf)}


class _Range(NamedTuple):
    """What a suffix of the metric counts: motion IoU and area in px^2, both ends included; None is any."""

    suffix: str
    motion: tuple[float, float] | None = None
    area: tuple[float, float] | None = None


_RANGES = [_Range(''), *(_Range(f'_{name}', motion=limits) for name, limits in MOTION_RANGES.items()),
           *(_Range(f'_area_{name}', area=limits) for name, limits in AREA_RANGES.items())]


def fgfa_metrics(truth: Truth, found: Found, num_classes: int) -> dict[str, float]:
    """AP50 of the evaluation released with FGFA (Zhu et al., ICCV 2017; ``imagenet_vid_eval_motion.py``).

    A pixel more in width and height everywhere. Small boxes are found at a lower IoU: that of a box shifted and
    stretched by 10 px, 0.5 at the most. A detection takes the free box of its class with the highest IoU, wherever
    its motion and area lie, and counts if both are in the range. One that takes none is a false alarm by how much
    it overlaps boxes of any class with motion in and out of the range, unless its own area is out of the range.

    Returns:
        ``fgfa/AP50`` and the same with ``_slow`` ... ``_area_large``.
    """
    sides, areas = truth.boxes[:, 2:] + 1, np.prod(truth.boxes[:, 2:] + 1, axis=1)
    found_areas = np.prod(found.boxes[:, 2:] + 1, axis=1)
    pairs = overlapping_pairs(found.frames, found.boxes, truth.frames, truth.boxes, grown=1)
    enough = pairs.iou >= np.minimum(0.5, areas / np.prod(sides + 10, axis=1))[pairs.truth]
    enough &= found.labels[pairs.found] == truth.labels[pairs.truth]
    order = np.lexsort((pairs.truth[enough], -pairs.iou[enough], pairs.found[enough]))
    matches = greedy_matches(pairs.found[enough][order], pairs.truth[enough][order], len(found.scores), len(areas))
    metrics = {}
    for wanted in _RANGES:
        moving = ~truth.crowd & within(truth.motion, wanted.motion)
        inside = moving & within(areas, wanted.area)
        weights = _false_alarms(pairs, found.frames, truth.frames, moving, _share(moving))
        weights *= within(found_areas, wanted.area)
        metrics[f'fgfa/AP50{wanted.suffix}'] = _mean_ap(truth, found, num_classes, inside, matches, weights)
    return metrics


def mega_metrics(truth: Truth, found: Found, num_classes: int) -> dict[str, float]:
    """AP50 of the evaluation released with MEGA (Chen et al., CVPR 2020; ``vid_eval.py``).

    Two pixels more in width and height in the IoU, which has to reach 0.5. Of boxes with equal IoU a detection takes
    the first in the range, else the last out of it. False alarms are weighed by the boxes of their own class alone.
    MEGA knows ranges of motion only: those of area, width + 1 times height + 1 as its boxes count it, are treated
    the same way.

    Returns:
        ``mega/AP50`` and the same with ``_slow`` ... ``_area_large``.
    """
    areas = np.prod(truth.boxes[:, 2:] + 1, axis=1)
    # A place is a class in a frame.
    truth_places, found_places = (table.frames * num_classes + table.labels for table in (truth, found))
    pairs = overlapping_pairs(found_places, found.boxes, truth_places, truth.boxes, grown=2)
    near = Pairs(*(column[pairs.iou >= 0.5] for column in pairs))
    metrics = {}
    for wanted in _RANGES:
        inside = ~truth.crowd & within(truth.motion, wanted.motion) & within(areas, wanted.area)
        liked = inside[near.truth]
        order = np.lexsort((np.where(liked, near.truth, -near.truth), ~liked, -near.iou, near.found))
        matches = greedy_matches(near.found[order], near.truth[order], len(found.scores), len(areas))
        weights = _false_alarms(pairs, found_places, truth_places, inside, _share(inside))
        metrics[f'mega/AP50{wanted.suffix}'] = _mean_ap(truth, found, num_classes, inside, matches, weights)
    return metrics


def _share(inside: np.ndarray) -> float:
    return float(inside.mean()) if len(inside) else 0.0


def _false_alarms(pairs: Pairs, found_places: np.ndarray, truth_places: np.ndarray, inside: np.ndarray,
                  nowhere: float) -> np.ndarray:
    """How much of a false alarm each detection is, should it find nothing: ``(n,)`` from 0 to 1.

    1 if it overlaps a box in the range more than any out of it, 0 if it is the other way round. Otherwise what it
    most likely took for an object is unknown: the share of its place's boxes that are out of the range, and
    ``nowhere`` in a place without boxes. Having a box that is not overlapped is more than having none.
    """
    places, compact = np.unique(np.concatenate([found_places, truth_places]), return_inverse=True)
    at_found, at_truth = np.split(compact.reshape(-1), [len(found_places)])
    inner, outer = (np.bincount(at_truth[chosen], minlength=len(places))[at_found] for chosen in (inside, ~inside))
    best_inner, best_outer = (np.where(count > 0, 0.0, -1.0) for count in (inner, outer))
    for best, chosen in ((best_inner, inside[pairs.truth]), (best_outer, ~inside[pairs.truth])):
        np.maximum.at(best, pairs.found[chosen], pairs.iou[chosen])
    tie = np.divide(outer, inner + outer, out=np.full(len(outer), nowhere), where=inner + outer > 0)
    return np.select([best_inner > best_outer, best_outer > best_inner], [1.0, 0.0], tie)


def _mean_ap(truth: Truth, found: Found, num_classes: int, inside: np.ndarray, matches: np.ndarray,
             weights: np.ndarray) -> float:
    """Mean over the classes with a box in the range; NaN without any."""
    hits = (matches >= 0) & np.append(inside, False)[matches]
    alarms = np.where(matches >= 0, 0.0, weights)
    order = np.argsort(-found.scores, kind='stable')
    hits, alarms, labels = hits[order], alarms[order], found.labels[order]
    positives = np.bincount(truth.labels[inside], minlength=num_classes)
    values = [_average_precision(hits[labels == label], alarms[labels == label], positives[label])
              for label in np.flatnonzero(positives)]
    return float(np.mean(values)) if values else math.nan


def _average_precision(hits: np.ndarray, alarms: np.ndarray, positives: int) -> float:
    """Area under the best precision at each recall or beyond, detections in the order of their scores."""
    found, wrong = np.cumsum(hits), np.cumsum(alarms)
    # Nothing counted yet is a precision of 0.
    precision = found / np.maximum(found + wrong, np.finfo(np.float64).eps)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(found / positives, prepend=0.0) * best))
