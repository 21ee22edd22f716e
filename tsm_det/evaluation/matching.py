"""Detections and the boxes they found, for all frames of a data set at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Detections whose pairs are made in one go: bounds the memory, far above what a frame holds.
_CHUNK = 1 << 18


class Pairs(NamedTuple):
    """Detections and true boxes that overlap, ``(n,)`` each; sorted by detection, then by true box."""

    found: np.ndarray
    truth: np.ndarray
    iou: np.ndarray


def pair_iou(first: np.ndarray, second: np.ndarray, grown: float = 0.0,
             crowd: np.ndarray | None = None) -> np.ndarray:
    """Intersection over union of the boxes of n pairs; 0 where neither box has an area.

    Args:
        first: ``(n, 4)`` x, y, width, height in px.
        second: likewise.
        grown: px by which all boxes are wider and higher than they say: 1 where pixels are counted from the
            first to the last one inside.
        crowd: ``(n,)``, where ``second`` is a region of many objects; COCO asks there what part of ``first`` is in it.
    """
    low = np.maximum(first[:, :2], second[:, :2])
    high = np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
    shared = np.prod(np.clip(high - low + grown, 0, None), axis=1)
    area, other = (np.prod(boxes[:, 2:] + grown, axis=1) for boxes in (first, second))
    union = area + other - shared
    if crowd is not None:
        union = np.where(crowd, area, union)
    return np.divide(shared, union, out=np.zeros(len(shared)), where=union > 0)


def overlapping_pairs(found_places: np.ndarray, found_boxes: np.ndarray, truth_places: np.ndarray,
                      truth_boxes: np.ndarray, grown: float = 0.0, crowd: np.ndarray | None = None) -> Pairs:
    """All pairs of a detection and a true box that overlap in the same place.

    Args:
        found_places: ``(n,)`` integers, where a detection is: a frame, or a class in a frame.
        found_boxes: ``(n, 4)`` x, y, width, height in px.
        truth_places: ``(m,)`` likewise for the true boxes.
        truth_boxes: ``(m, 4)``.
        grown: as in :func:`pair_iou`.
        crowd: ``(m,)`` likewise.
    """
    order = np.argsort(truth_places, kind='stable')
    places = truth_places[order]
    starts, ends = (np.searchsorted(places, found_places, side) for side in ('left', 'right'))
    parts = [Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    for begin in range(0, len(found_places), _CHUNK):
        first, count = starts[begin:begin + _CHUNK], (ends - starts)[begin:begin + _CHUNK]
        found = np.repeat(np.arange(begin, begin + len(count)), count)
        within = np.arange(len(found)) - np.repeat(np.cumsum(count) - count, count)
        truth = order[np.repeat(first, count) + within]
        iou = pair_iou(found_boxes[found], truth_boxes[truth], grown, None if crowd is None else crowd[truth])
        parts.append(Pairs(*(column[iou > 0] for column in (found, truth, iou))))
    return Pairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def greedy_matches(found: np.ndarray, truth: np.ndarray, num_found: int, num_truth: int,
                   shared: np.ndarray | None = None) -> np.ndarray:
    """Let one detection after the other take the true box that it likes best among those still free.

    The same comes out when all detections ask at once, each box keeps the first in line of those that ask, and the
    others ask on (Gale and Shapley, 1962, with boxes that all rank the detections alike): a few rounds for a whole
    data set instead of a step for each detection.

    Args:
        found: ``(n,)`` numbers of detections, lower ones come first in line; sorted. Pairs of one detection stand
            in the order of its liking, best first.
        truth: ``(n,)`` the true boxes that the detections of ``found`` may take.
        num_found: how many detections there are.
        num_truth: how many true boxes.
        shared: ``(num_truth,)`` boxes that any number of detections may take; none by default.

    Returns:
        ``(num_found,)`` the number of the true box, -1 for none.
    """
    shared = np.zeros(num_truth, bool) if shared is None else shared
    taker = np.full(num_truth, num_found)
    while True:
        favourite = np.flatnonzero(np.diff(found, prepend=-1))
        np.minimum.at(taker, truth[favourite], found[favourite])
        open_ = (found <= taker[truth]) | shared[truth]
        if open_.all():
            break
        found, truth = found[open_], truth[open_]
    matches = np.full(num_found, -1, np.int32)
    matches[found[favourite]] = truth[favourite]
    return matches
