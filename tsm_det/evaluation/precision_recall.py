"""Precision-recall curves at IoU 0.5, by class and by motion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from tsm_det.cocovid.motion import MOTION_RANGES
from tsm_det.errors import InputError
from tsm_det.evaluation.coco_ap import MatchedEvaluation
from tsm_det.evaluation.matching import overlapping_pairs
from tsm_det.evaluation.tables import Detections, GroundTruth
from tsm_det.png import COLOURS

# After the last colour, colours repeat with the next dash.
_DASHES = ('-', '--', ':', '-.')


class PrecisionRecall(NamedTuple):
    """A curve over COCO's 101 recalls from 0 to 1, of so many true ``boxes``.

    ``precision`` ``(101,)`` is the best at that recall or more, NaN without a box; ``scores`` ``(101,)`` the score at
    that recall, None for a mean of classes.
    """

    name: str
    boxes: int
    precision: np.ndarray
    scores: np.ndarray | None = None

    @property
    def ap50(self) -> float:
        """The area under it, as in ``coco/AP50``; NaN without a box."""
        return float(self.precision.mean())


def curves_by_class(evaluation: MatchedEvaluation, classes: Sequence[str]) -> list[PrecisionRecall]:
    """A curve per class, in the order of labels, and the mean of those that have boxes.

    Raises:
        InputError: no class has a box.
    """
    precision, scores, boxes = _curves(evaluation)
    if not boxes.any():
        raise InputError('the annotation file has no box of the classes of the config: '
                         'set metainfo.classes to annotated ones')
    curves = [PrecisionRecall(name, int(boxes[k]), precision[k], scores[k]) for k, name in enumerate(classes)]
    return [*curves, _mean('mean of classes', evaluation)]


def curves_by_motion(ranges: Mapping[str, MatchedEvaluation]) -> list[PrecisionRecall]:
    """The mean over classes for slow, medium and fast objects (``coco/AP50_slow``, ...), and for all.

    ``ranges`` are all that :func:`tsm_det.evaluation.coco_ap.matched_ranges` yields at IoU 0.5. False positives count
    in every range, so the curve of a range with few boxes is low.
    """
    curves = [_mean(f'{name} (motion IoU {low:g} to {high:g})', ranges[f'_{name}'])
              for name, (low, high) in MOTION_RANGES.items()]
    return [*curves, _mean('all', ranges[''])]


def detected_shares(truth: GroundTruth, detections: Detections) -> tuple[float, float]:
    """Share of true boxes with a detection of any class at IoU 0.5, and of these, with the right class.

    The class is that of the highest-scoring such detection. NaN where there is no box.
    """
    pairs = overlapping_pairs(detections.frames, detections.boxes, truth.frames, truth.boxes)
    near = (pairs.iou >= 0.5) & ~truth.crowd[pairs.truth]
    # Detections of a frame are sorted by score, so the first pair of a box is its highest-scoring one.
    boxes, first = np.unique(pairs.truth[near], return_index=True)
    right = detections.labels[pairs.detection[near][first]] == truth.labels[boxes]
    whole = np.count_nonzero(~truth.crowd)
    return len(boxes) / whole if whole else np.nan, float(right.mean()) if len(boxes) else np.nan


def draw_curves(curves: Sequence[PrecisionRecall], title: str, score_thr: float | None = None) -> Figure:
    """Draw curves with their AP50 in the legend, the last one in black; dots mark ``score_thr``."""
    figure = Figure(figsize=(10.5, 6.5), dpi=130, layout='constrained')
    axes = figure.add_subplot(xlabel='recall', ylabel='precision', xlim=(0, 1), ylim=(0, 1.02), title=title)
    axes.grid(alpha=0.3)
    recall = np.linspace(0, 1, 101)
    for place, curve in enumerate(curves):
        last = place == len(curves) - 1
        style = dict(color='black', linewidth=2.6) if last else dict(
            color=COLOURS[place % len(COLOURS)], linestyle=_DASHES[place // len(COLOURS) % len(_DASHES)],
            linewidth=1.6)
        ap50 = f'{curve.ap50:.3f}' if curve.boxes else '-----'
        axes.plot(recall, curve.precision, label=f'{ap50}  {curve.name}, {curve.boxes:,} boxes', **style)
        reached = 0 if curve.scores is None or score_thr is None else int((curve.scores >= score_thr).sum())
        if reached:
            axes.plot(recall[reached - 1], curve.precision[reached - 1], 'o', color=style['color'])
    axes.legend(title='AP50', loc='upper left', bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9)
    return figure


def _mean(name: str, evaluation: MatchedEvaluation) -> PrecisionRecall:
    precision, _, boxes = _curves(evaluation)
    mean = precision[boxes > 0].mean(axis=0) if boxes.any() else np.full(101, np.nan)
    return PrecisionRecall(name, int(boxes.sum()), mean)


def _curves(evaluation: MatchedEvaluation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision and scores by class, ``(C, 101)``, NaN for precision without a box, and the boxes, ``(C,)``."""
    boxes = np.bincount(evaluation.truth.labels[~evaluation.ignored_truth], minlength=len(evaluation.params.catIds))
    curves = evaluation.curves()
    return np.where(boxes > 0, curves['precision'][0], np.nan).T, curves['scores'][0].T, boxes
