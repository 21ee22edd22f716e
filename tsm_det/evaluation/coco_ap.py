"""The protocol ``coco``: COCO's AP, also by motion, by area and for parts of the frames."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pycocotools.cocoeval import COCOeval, Params

from tsm_det.cocovid.motion import MOTION_RANGES
from tsm_det.evaluation.matching import Pairs, greedy_matches, overlapping_pairs
from tsm_det.evaluation.tables import Found, Truth, within

_DEFAULTS = Params(iouType='bbox')
_AREA_RANGES = dict(zip(_DEFAULTS.areaRngLbl, _DEFAULTS.areaRng, strict=True))


class MatchedEvaluation(COCOeval):
    """pycocotools' evaluation of detections that have been matched already.

    pycocotools matches frame by frame in Python: 4 s a thousand frames of 20 detections, 13 minutes for ImageNet VID's
    validation set. Here all frames go in as one that is matched, and pycocotools makes precision and recall of it.

    Args:
        truth: true boxes.
        found: detections, at most COCO's 100 a class in a frame.
        ignored_truth: ``(m,)``, the boxes that need not be found.
        matches: ``(T, n)`` of all detections at T thresholds of IoU: the true box found, -1 for none.
        ignored_found: ``(n,)``, the detections that are no false alarms when they find nothing.
        num_classes: labels are below it.
        thresholds: the T thresholds.

    Of all detections, ``(T, n)`` each, ``hit`` says which find a box, ``ignored`` which count neither way.
    """

    def __init__(self, truth: Truth, found: Found, ignored_truth: np.ndarray, matches: np.ndarray,
                 ignored_found: np.ndarray, num_classes: int, thresholds: Sequence[float]) -> None:
        super().__init__(iouType='bbox')
        self.truth, self.found, self.ignored_truth = truth, found, ignored_truth
        self.hit = matches >= 0
        # The extra entry is what -1 reads; its value is not used.
        self.ignored = np.where(self.hit, np.append(ignored_truth, False)[matches], ignored_found)
        self.params.iouThrs = np.asarray(thresholds)
        self.params.catIds, self.params.imgIds = list(range(num_classes)), [0]
        self.params.areaRng, self.params.areaRngLbl = [[0, 1]], ['all']
        self.params.maxDets = [max(len(found.scores), 1)]
        self._paramsEval = self.params

    def score(self, frames: np.ndarray, suffix: str) -> dict[str, float]:
        """AP, AP50 and AP75 of the frames marked in ``(F,)``; NaN without a box to find."""
        self.evalImgs = [self._class(label, frames) for label in self.params.catIds]
        with contextlib.redirect_stdout(io.StringIO()):
            self.accumulate()
        precision = self.eval['precision']
        at = {'AP': slice(None), 'AP50': self.params.iouThrs == 0.5, 'AP75': self.params.iouThrs == 0.75}
        values = {name: precision[chosen] for name, chosen in at.items()}
        return {f'coco/{name}{suffix}': float(np.mean(value[value > -1])) if (value > -1).any() else math.nan
                for name, value in values.items()}

    def _class(self, label: int, frames: np.ndarray) -> dict:
        found = np.flatnonzero((self.found.labels == label) & frames[self.found.frames])
        truth = (self.truth.labels == label) & frames[self.truth.frames]
        return {'dtScores': self.found.scores[found], 'dtMatches': self.hit[:, found],
                'dtIgnore': self.ignored[:, found], 'gtIgnore': self.ignored_truth[truth]}


def coco_metrics(truth: Truth, found: Found, num_classes: int, parts: Mapping[str, np.ndarray]) -> dict[str, float]:
    """AP, AP50 and AP75 over all boxes, by area, by motion, and over all boxes of parts of the frames.

    A range of motion is to COCO what a range of area is: true boxes out of it, or without motion, need not be found,
    and a detection of one counts neither way. A detection of nothing has an area but no motion, so it is a false
    alarm in every range of motion. Ranges include both ends.

    Args:
        truth: true boxes.
        found: detections.
        num_classes: labels are below it.
        parts: suffix to the frames of that part, ``(F,)`` marks; ``''`` are all frames.
    """
    metrics = {}
    for suffix, evaluation in matched_ranges(truth, found, num_classes):
        for part in ([''] if suffix else parts):
            metrics |= evaluation.score(parts[part], suffix + part)
    return metrics


def matched_ranges(truth: Truth, found: Found, num_classes: int,
                   thresholds: Sequence[float] = _DEFAULTS.iouThrs) -> Iterator[tuple[str, MatchedEvaluation]]:
    """The detections matched to all boxes, to those of each range of area and to those of each range of motion.

    Args:
        truth: true boxes.
        found: detections; COCO's 100 surest a class in a frame are taken.
        num_classes: labels are below it.
        thresholds: of IoU, from 0.5.

    Yields:
        The suffix of the range's scores, ``''`` of all boxes, and the evaluation.
    """
    found = found.take(_best_of_each_frame(found, num_classes, max(_DEFAULTS.maxDets)))
    pairs = _pairs(truth, found, num_classes)
    areas = np.prod(found.boxes[:, 2:], axis=1)
    ranges = {'' if name == 'all' else f'_area_{name}': (within(truth.areas, limits), within(areas, limits))
              for name, limits in _AREA_RANGES.items()}
    ranges |= {f'_{name}': (within(truth.motion, limits), ranges[''][1]) for name, limits in MOTION_RANGES.items()}
    for suffix, (inside, found_inside) in ranges.items():
        ignored = ~inside | truth.crowd
        matches = _matches(pairs, ignored, truth.crowd, len(found.scores), thresholds)
        yield suffix, MatchedEvaluation(truth, found, ignored, matches, ~found_inside, num_classes, thresholds)


def _best_of_each_frame(found: Found, num_classes: int, limit: int) -> np.ndarray:
    """Rows of the ``limit`` surest detections of each class in each frame."""
    places = found.frames * num_classes + found.labels
    order = np.argsort(places, kind='stable')
    starts = np.searchsorted(places[order], places[order])
    return np.sort(order[np.arange(len(order)) - starts < limit])


def _pairs(truth: Truth, found: Found, num_classes: int) -> Pairs:
    pairs = overlapping_pairs(found.frames * num_classes + found.labels, found.boxes,
                              truth.frames * num_classes + truth.labels, truth.boxes, crowd=truth.crowd)
    enough = pairs.iou >= _DEFAULTS.iouThrs[0]
    return Pairs(*(column[enough] for column in pairs))


def _matches(pairs: Pairs, ignored: np.ndarray, crowd: np.ndarray, num_found: int,
             thresholds: Sequence[float]) -> np.ndarray:
    """``(T, num_found)`` true boxes: what must be found first, then the highest IoU, then the last one."""
    order = np.lexsort((-pairs.truth, -pairs.iou, ignored[pairs.truth], pairs.found))
    found, truth, iou = (column[order] for column in pairs)
    return np.stack([greedy_matches(found[iou >= threshold], truth[iou >= threshold], num_found, len(ignored), crowd)
                     for threshold in thresholds])
