"""Paired bootstrap of AP differences over groups of videos and training seeds.

A video that is drawn w times counts w times: its hits, its false positives, its boxes. With precision-recall curves
split by group of videos a draw is a product of matrices. The curve only changes at hits, so false positives are summed
between hits, once per test instead of once per draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pycocotools.cocoeval import Params

from tsm_det.evaluation.coco_ap import MatchedEvaluation

_RECALLS = Params(iouType='bbox').recThrs
# Cells of a matrix (draws, hits) per pass: bounds the memory.
_CELLS = 1 << 21


class Difference(NamedTuple):
    """Mean over seeds of arm minus baseline, and its 95 % interval; NaN where no draw has a box."""

    mean: float
    low: float
    high: float


def drawn_groups(num_groups: int, draws: int, seed: int = 0) -> np.ndarray:
    """How often each draw has each group of videos: ``(1 + draws, G)``; the first row is the data set itself."""
    rng = np.random.default_rng([seed, num_groups])
    drawn = rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=draws)
    return np.concatenate([np.ones((1, num_groups)), drawn])


def paired_difference(arm: np.ndarray, baseline: np.ndarray, seed: int = 0) -> Difference:
    """Bootstrap over groups of videos and, within each draw, over training seeds; both arms share the draws.

    ``arm`` and ``baseline`` ``(S, 1 + B)`` are the scores of each training seed, on the data set itself and on each
    draw of groups, with the seeds and draws in the same order. ``seed`` is that of the draws of training seeds.
    """
    differences = arm - baseline
    num_seeds, draws = len(differences), differences.shape[1] - 1
    rng = np.random.default_rng([seed, num_seeds])
    shares = rng.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), size=draws) / num_seeds
    drawn = np.einsum('bs,sb->b', shares, differences[:, 1:])
    drawn = drawn[~np.isnan(drawn)]  # draws without a box
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (np.nan, np.nan)
    return Difference(float(differences[:, 0].mean()), float(low), float(high))


class GroupedCurve(NamedTuple):
    """The K hits of one class by falling score, in G groups of videos.

    ``hits`` ``(K,)`` is the group of each hit; ``false_positives`` ``(K, G)`` are those of each group since the hit
    before; ``boxes`` ``(G,)`` are the true boxes.
    """

    hits: np.ndarray
    false_positives: np.ndarray
    boxes: np.ndarray


def grouped_curves(evaluation: MatchedEvaluation, frames: np.ndarray, labels: Sequence[int], groups: np.ndarray,
                   num_groups: int) -> list[GroupedCurve]:
    """A curve per label, at the evaluation's first threshold, over the frames marked in ``(F,)``.

    ``groups`` ``(F,)`` is the group of each frame, below ``num_groups``.
    """
    detections, truth, curves = evaluation.detections, evaluation.truth, []
    counted = frames[detections.frames] & ~evaluation.ignored[0]
    wanted = frames[truth.frames] & ~evaluation.ignored_truth
    for label in labels:
        order = np.flatnonzero(counted & (detections.labels == label))
        order = order[np.argsort(-detections.scores[order], kind='stable')]
        hit, group = evaluation.hit[0][order], groups[detections.frames][order]
        false_positives = np.zeros((hit.sum() + 1, num_groups))
        np.add.at(false_positives, ((np.cumsum(hit) - hit)[~hit], group[~hit]), 1)
        boxes = np.bincount(groups[truth.frames[wanted & (truth.labels == label)]], minlength=num_groups)
        # False positives after the last hit are beyond the highest recall.
        curves.append(GroupedCurve(group[hit], false_positives[:-1], boxes))
    return curves


def mean_over_classes(curves: Sequence[GroupedCurve], weights: np.ndarray) -> np.ndarray:
    """Mean of COCO's average precision (101 recalls) over the classes with boxes in the draw: ``(B,)``, NaN without.

    ``weights`` ``(B, G)`` is how often each draw has each group.
    """
    values = np.stack([_average_precision(curve, weights) for curve in curves], axis=1)
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=1)
    return np.divide(total, known.sum(axis=1), out=np.full(len(values), np.nan), where=known.any(axis=1))


def _average_precision(curve: GroupedCurve, weights: np.ndarray) -> np.ndarray:
    values, step = np.full(len(weights), np.nan), max(1, _CELLS // (len(curve.hits) + 1))
    for begin in range(0, len(weights), step):
        times = weights[begin:begin + step]
        boxes = times @ curve.boxes
        right = np.cumsum(times[:, curve.hits], axis=1)
        wrong = np.cumsum(times @ curve.false_positives.T, axis=1)
        precision = right / np.maximum(right + wrong, 1)  # 0 where no hit is drawn yet
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        for draw in np.flatnonzero(boxes > 0):
            places = np.searchsorted(right[draw] / boxes[draw], _RECALLS, side='left')
            values[begin + draw] = np.append(best[draw], 0)[places].mean()
    return values
