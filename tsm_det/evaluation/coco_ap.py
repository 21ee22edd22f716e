"""The protocol ``coco``: COCO's AP, also by motion, by area and for parts of the frames."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pycocotools.cocoeval import COCOeval, Params

from tsm_det.cocovid.motion import MOTION_RANGES
from tsm_det.evaluation.matching import greedy_matches, overlapping_pairs
from tsm_det.evaluation.tables import Detections, GroundTruth, within

_DEFAULTS = Params(iouType='bbox')
_AREA_RANGES = dict(zip(_DEFAULTS.areaRngLbl, _DEFAULTS.areaRng, strict=True))


class MatchedEvaluation(COCOeval):
    """pycocotools' precision and recall of detections that are already matched.

    pycocotools matches frame by frame in Python: 13 minutes for ImageNet VID's validation set. Here all frames are
    matched at once, and pycocotools sees them as one.

    Args:
        truth: true boxes, m.
        detections: n, at most COCO's 100 per class and frame.
        ignored_truth: ``(m,)`` marks.
        matches: ``(T, n)``, the true box of each detection at T thresholds of IoU, -1 for none.
        ignored_unmatched: ``(n,)``, marks detections to ignore when they match no box.
        num_classes: labels are below it.
        thresholds: the T thresholds.

    ``hit`` and ``ignored``, ``(T, n)``, mark the matched and the ignored detections.
    """

    def __init__(self, truth: GroundTruth, detections: Detections, ignored_truth: np.ndarray, matches: np.ndarray,
                 ignored_unmatched: np.ndarray, num_classes: int, thresholds: Sequence[float]) -> None:
        super().__init__(iouType='bbox')
        self.truth, self.detections, self.ignored_truth, self.matches = truth, detections, ignored_truth, matches
        self.hit = matches >= 0
        # The extra entry is what -1 reads; its value is not used.
        self.ignored = np.where(self.hit, np.append(ignored_truth, False)[matches], ignored_unmatched)
        self.params.iouThrs = np.asarray(thresholds)
        self.params.catIds, self.params.imgIds = list(range(num_classes)), [0]
        self.params.areaRng, self.params.areaRngLbl = [[0, 1]], ['all']
        self.params.maxDets = [max(len(detections.scores), 1)]
        self._paramsEval = self.params

    def curves(self, frames: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """``precision`` and ``scores``, ``(T, 101, C)``, over the frames marked in ``(F,)``; -1 without a box."""
        self.evalImgs = []
        for label in self.params.catIds:
            chosen, truth = ((table.labels == label) & (frames is None or frames[table.frames])
                             for table in (self.detections, self.truth))
            self.evalImgs.append({
                'dtScores': self.detections.scores[chosen], 'dtMatches': self.hit[:, chosen],
                'dtIgnore': self.ignored[:, chosen], 'gtIgnore': self.ignored_truth[truth]})
        with contextlib.redirect_stdout(io.StringIO()):
            self.accumulate()
        return {key: self.eval[key][..., 0, 0] for key in ('precision', 'scores')}

    def score(self, frames: np.ndarray, suffix: str) -> dict[str, float]:
        """AP, AP50 and AP75 over the frames marked in ``(F,)``; NaN without a box."""
        precision, thresholds = self.curves(frames)['precision'], self.params.iouThrs
        values = {'AP': precision, 'AP50': precision[thresholds == 0.5], 'AP75': precision[thresholds == 0.75]}
        return {f'coco/{name}{suffix}': float(np.mean(value[value > -1])) if (value > -1).any() else math.nan
                for name, value in values.items()}


def coco_metrics(truth: GroundTruth, detections: Detections, num_classes: int,
                 parts: Mapping[str, np.ndarray]) -> dict[str, float]:
    """AP, AP50 and AP75 over all boxes, by area, by motion, and over all boxes of parts of the frames.

    Ranges of motion work like COCO's ranges of area: ground truth outside the range or without motion is ignored, and
    so are detections matched to it. Unmatched detections have an area but no motion, so they are false positives in
    every range of motion. Ranges include both ends.

    ``parts`` has the frames of each part, ``(F,)`` marks, by the suffix of its scores; ``''`` are all frames.
    """
    metrics = {}
    for suffix, evaluation in matched_ranges(truth, detections, num_classes):
        for part in ([''] if suffix else parts):
            metrics |= evaluation.score(parts[part], suffix + part)
    return metrics


def matched_ranges(truth: GroundTruth, detections: Detections, num_classes: int,
                   thresholds: Sequence[float] = _DEFAULTS.iouThrs) -> Iterator[tuple[str, MatchedEvaluation]]:
    """Match detections to all boxes, to those of each range of area and to those of each range of motion.

    Uses COCO's 100 highest-scoring detections per class and frame; ``thresholds`` of IoU are at least 0.5. Yields the
    suffix of the range's scores, ``''`` for all boxes, and the evaluation.
    """
    places = detections.frames * num_classes + detections.labels
    order = np.argsort(places, kind='stable')
    rank = np.arange(len(order)) - np.searchsorted(places[order], places[order])
    detections = detections.take(np.sort(order[rank < max(_DEFAULTS.maxDets)]))
    pairs = overlapping_pairs(detections.frames * num_classes + detections.labels, detections.boxes,
                              truth.frames * num_classes + truth.labels, truth.boxes, crowd=truth.crowd)
    pairs = pairs.take(pairs.iou >= _DEFAULTS.iouThrs[0])
    areas = np.prod(detections.boxes[:, 2:], axis=1)
    ranges = {'' if name == 'all' else f'_area_{name}': (within(truth.areas, limits), within(areas, limits))
              for name, limits in _AREA_RANGES.items()}
    ranges |= {f'_{name}': (within(truth.motion, limits), ranges[''][1]) for name, limits in MOTION_RANGES.items()}
    for suffix, (inside, detections_inside) in ranges.items():
        ignored = ~inside | truth.crowd
        # Boxes that count come first, then the highest IoU, then the last box.
        wishes = pairs.take(np.lexsort((-pairs.truth, -pairs.iou, ignored[pairs.truth], pairs.detection)))
        near = (wishes.take(wishes.iou >= threshold) for threshold in thresholds)
        matches = np.stack([greedy_matches(each.detection, each.truth, len(areas), len(ignored), truth.crowd)
                            for each in near])
        yield suffix, MatchedEvaluation(truth, detections, ignored, matches, ~detections_inside, num_classes,
                                        thresholds)
