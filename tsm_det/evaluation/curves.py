"""Precision-recall curves kept apart by group of videos, so that a bootstrap draw is a product of matrices.

A video that is drawn w times counts w times wherever the curve counts it: its hits, its false alarms, its boxes.
Only the places of hits matter to the curve, so that false alarms are summed between them, once a run and not once
a draw.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pycocotools.cocoeval import Params

from tsm_det.evaluation.coco_ap import MatchedEvaluation

_RECALLS = Params(iouType='bbox').recThrs
# Cells of a matrix (draws, hits) worked on in one go: bounds the memory.
_CELLS = 1 << 21


class Curve(NamedTuple):
    """What is known of K hits of one class, the surest first, in G groups of videos.

    ``hits`` ``(K,)`` is the group of each; ``alarms`` ``(K, G)`` the false alarms of each group since the hit before;
    ``boxes`` ``(G,)`` the boxes to find.
    """

    hits: np.ndarray
    alarms: np.ndarray
    boxes: np.ndarray


def curves_of(evaluation: MatchedEvaluation, frames: np.ndarray, groups: np.ndarray, num_groups: int,
              num_classes: int) -> list[Curve]:
    """A curve a class, at the evaluation's first threshold, over a part of the frames.

    Args:
        evaluation: from :func:`tsm_det.evaluation.coco_ap.matched_ranges`.
        frames: ``(F,)`` marks those that count.
        groups: ``(F,)`` the group of each frame.
        num_groups: groups are below it.
        num_classes: labels are below it.
    """
    found, truth = evaluation.found, evaluation.truth
    counted = np.flatnonzero(frames[found.frames] & ~evaluation.ignored[0])
    counted = counted[np.argsort(-found.scores[counted], kind='stable')]
    wanted = frames[truth.frames] & ~evaluation.ignored_truth
    return [_curve(counted[found.labels[counted] == label], evaluation.hit[0], groups[found.frames],
                   np.bincount(groups[truth.frames[wanted & (truth.labels == label)]], minlength=num_groups))
            for label in range(num_classes)]


def _curve(order: np.ndarray, hit: np.ndarray, groups: np.ndarray, boxes: np.ndarray) -> Curve:
    hit, groups = hit[order], groups[order]
    before = np.cumsum(hit) - hit
    alarms = np.zeros((hit.sum() + 1, len(boxes)))
    np.add.at(alarms, (before[~hit], groups[~hit]), 1)
    # Those after the last hit are at no recall that was reached.
    return Curve(groups[hit], alarms[:-1], boxes)


def average_precision(curve: Curve, weights: np.ndarray) -> np.ndarray:
    """COCO's average precision at 101 recalls: ``(B,)``, NaN where there is no box to find.

    Args:
        curve: of one class.
        weights: ``(B, G)``, how often each draw has each group.
    """
    step = max(1, _CELLS // (len(curve.hits) + 1))
    return np.concatenate([_average_precision(curve, weights[begin:begin + step])
                           for begin in range(0, len(weights), step)])


def _average_precision(curve: Curve, weights: np.ndarray) -> np.ndarray:
    boxes = weights @ curve.boxes
    right = np.cumsum(weights[:, curve.hits], axis=1)
    wrong = np.cumsum(weights @ curve.alarms.T, axis=1)
    precision = right / np.maximum(right + wrong, 1)  # at zero right it is zero
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    values = np.full(len(weights), np.nan)
    for draw in np.flatnonzero(boxes > 0):
        places = np.searchsorted(right[draw] / boxes[draw], _RECALLS, side='left')
        values[draw] = np.append(best[draw], 0)[places].mean()
    return values


def mean_over_classes(curves: list[Curve], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average precision of the classes, ``(B, C)``, and its mean over those that have boxes in the draw, ``(B,)``."""
    values = np.stack([average_precision(curve, weights) for curve in curves], axis=1)
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=1)
    return values, np.divide(total, known.sum(axis=1), out=np.full(len(values), np.nan), where=known.any(axis=1))
