"""Match detections to true boxes, for all frames of a data set at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tsm_det.cocovid.boxes import pair_iou

# Detections whose pairs are made in one go: bounds the memory, far above the number in a frame.
_CHUNK = 1 << 18


class Pairs(NamedTuple):
    """Overlapping detections and true boxes, ``(n,)`` each; sorted by detection, then by true box."""

    detection: np.ndarray
    truth: np.ndarray
    iou: np.ndarray

    def take(self, rows: np.ndarray) -> Pairs:
        """Select or reorder pairs, by marks or indices."""
        return Pairs(*(column[rows] for column in self))


def overlapping_pairs(detection_places: np.ndarray, detection_boxes: np.ndarray, truth_places: np.ndarray,
                      truth_boxes: np.ndarray, grown: float = 0.0, crowd: np.ndarray | None = None) -> Pairs:
    """All pairs of a detection and a true box that overlap in the same place.

    Args:
        detection_places: ``(n,)`` integers; a place is a frame, or a class in a frame.
        detection_boxes: ``(n, 4)`` x, y, width, height in px.
        truth_places: ``(m,)``; ``truth_boxes`` ``(m, 4)``.
        grown: as in :func:`pair_iou`; ``crowd`` ``(m,)`` too.
    """
    order = np.argsort(truth_places, kind='stable')
    places = truth_places[order]
    starts, ends = (np.searchsorted(places, detection_places, side) for side in ('left', 'right'))
    parts = [Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for begin in range(0, len(detection_places), _CHUNK):
        first, count = starts[begin:begin + _CHUNK], (ends - starts)[begin:begin + _CHUNK]
        detection = np.repeat(np.arange(begin, begin + len(count)), count)
        within = np.arange(len(detection)) - np.repeat(np.cumsum(count) - count, count)
        truth = order[np.repeat(first, count) + within]
        iou = pair_iou(detection_boxes[detection], truth_boxes[truth], grown, None if crowd is None else crowd[truth])
        parts.append(Pairs(detection, truth, iou).take(iou > 0))
    return Pairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def greedy_matches(detection: np.ndarray, truth: np.ndarray, num_detections: int, num_truth: int,
                   shared: np.ndarray | None = None) -> np.ndarray:
    """Let each detection in turn take its favourite among the true boxes that are still free.

    Stable matching (Gale and Shapley, 1962) gives the same result when all boxes rank the detections alike: all
    detections ask at once, each box keeps the first in line, the others ask again. That takes a few passes over a
    whole data set instead of a step per detection.

    Args:
        detection: ``(n,)``, sorted indices below ``num_detections``; lower ones choose first. Pairs of one detection
            are in its order of preference.
        truth: ``(n,)``, indices below ``num_truth`` of the true boxes of these pairs.
        num_detections: number of detections.
        num_truth: number of true boxes.
        shared: ``(num_truth,)`` marks boxes that any number of detections may take; none by default.

    Returns:
        ``(num_detections,)`` the index of the true box, -1 for none.
    """
    shared = np.zeros(num_truth, bool) if shared is None else shared
    taker = np.full(num_truth, num_detections)
    while True:
        favourite = np.flatnonzero(np.diff(detection, prepend=-1))
        np.minimum.at(taker, truth[favourite], detection[favourite])
        free = (detection <= taker[truth]) | shared[truth]
        if free.all():
            break
        detection, truth = detection[free], truth[free]
    matches = np.full(num_detections, -1, np.int32)
    matches[detection[favourite]] = truth[favourite]
    return matches
