"""Precision-recall curves split by group of videos, so that a bootstrap draw is a product of matrices.

A video that is drawn w times counts w times: its hits, its false positives, its boxes. The curve only changes at
hits, so false positives are summed between hits, once per test instead of once per draw.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pycocotools.cocoeval import Params

from tsm_det.evaluation.coco_ap import MatchedEvaluation

_RECALLS = Params(iouType='bbox').recThrs
# Cells of a matrix (draws, hits) per pass: bounds the memory.
_CELLS = 1 << 21


class GroupedCurve(NamedTuple):
    """The K hits of one class by falling score, in G groups of videos.

    ``hits`` ``(K,)`` is the group of each hit; ``false_positives`` ``(K, G)`` are those of each group since the hit
    before; ``boxes`` ``(G,)`` are the true boxes.
    """

    hits: np.ndarray
    false_positives: np.ndarray
    boxes: np.ndarray


def grouped_curves(evaluation: MatchedEvaluation, frames: np.ndarray, groups: np.ndarray, num_groups: int,
                   num_classes: int) -> list[GroupedCurve]:
    """A curve per class, at the evaluation's first threshold, over the frames marked in ``(F,)``.

    ``groups`` ``(F,)`` is the group of each frame, below ``num_groups``; labels are below ``num_classes``.
    """
    detections, truth, curves = evaluation.detections, evaluation.truth, []
    counted = np.flatnonzero(frames[detections.frames] & ~evaluation.ignored[0])
    counted = counted[np.argsort(-detections.scores[counted], kind='stable')]
    wanted = frames[truth.frames] & ~evaluation.ignored_truth
    for label in range(num_classes):
        order = counted[detections.labels[counted] == label]
        hit, group = evaluation.hit[0][order], groups[detections.frames][order]
        false_positives = np.zeros((hit.sum() + 1, num_groups))
        np.add.at(false_positives, ((np.cumsum(hit) - hit)[~hit], group[~hit]), 1)
        boxes = np.bincount(groups[truth.frames[wanted & (truth.labels == label)]], minlength=num_groups)
        # False positives after the last hit are beyond the highest recall.
        curves.append(GroupedCurve(group[hit], false_positives[:-1], boxes))
    return curves


def average_precision(curve: GroupedCurve, weights: np.ndarray) -> np.ndarray:
    """COCO's average precision at 101 recalls: ``(B,)``, NaN without a box.

    ``weights`` ``(B, G)`` is how often each draw has each group.
    """
    step = max(1, _CELLS // (len(curve.hits) + 1))
    return np.concatenate([_average_precision(curve, weights[begin:begin + step])
                           for begin in range(0, len(weights), step)])


def _average_precision(curve: GroupedCurve, weights: np.ndarray) -> np.ndarray:
    boxes = weights @ curve.boxes
    right = np.cumsum(weights[:, curve.hits], axis=1)
    wrong = np.cumsum(weights @ curve.false_positives.T, axis=1)
    precision = right / np.maximum(right + wrong, 1)  # 0 where no hit is drawn yet
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    values = np.full(len(weights), np.nan)
    for draw in np.flatnonzero(boxes > 0):
        places = np.searchsorted(right[draw] / boxes[draw], _RECALLS, side='left')
        values[draw] = np.append(best[draw], 0)[places].mean()
    return values


def mean_over_classes(curves: list[GroupedCurve], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average precision of the classes, ``(B, C)``, and its mean over those that have boxes in the draw, ``(B,)``."""
    values = np.stack([average_precision(curve, weights) for curve in curves], axis=1)
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=1)
    return values, np.divide(total, known.sum(axis=1), out=np.full(len(values), np.nan), where=known.any(axis=1))
