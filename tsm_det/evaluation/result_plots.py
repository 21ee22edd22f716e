"""Plots of a test run: precision-recall curves at IoU 0.5, by class and by motion, and strips of misses."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.logging import print_log

from tsm_det.cocovid.motion import MOTION_RANGES, has_tracks
from tsm_det.errors import InputError
from tsm_det.evaluation.coco_ap import MatchedEvaluation, matched_ranges
from tsm_det.evaluation.evaluation_set import evaluation_set_of
from tsm_det.evaluation.matching import overlapping_pairs
from tsm_det.evaluation.strips import draw_strips, pages, strips_of
from tsm_det.evaluation.tables import Detections, GroundTruth
from tsm_det.files import check_folder
from tsm_det.locks import locked
from tsm_det.png import COLOURS, rendered, write_png

# After the last colour, colours repeat with the next dash.
_DASHES = ('-', '--', ':', '-.')


def plot_results(config: Config, results: str | os.PathLike, out: str | os.PathLike,
                 score_thr: float = 0.3, average: int | None = None) -> list[Path]:
    """Write ``precision_recall_by_class.png``, ``precision_recall_by_motion.png`` and ``misses_01.png``, ...

    Also log the share of boxes with a detection, and of these with the right class. The plot by motion is left out,
    with a warning, where annotations have no ``instance_id``. Returns the files. Raises InputError when a file is
    missing or does not fit the others, or ``out`` cannot be written or is another run's output.

    Args:
        config: from :func:`tsm_det.config.load_config`.
        results: file of ``tools/test.py --out``.
        out: folder; made if missing.
        score_thr: detections below it count as misses in the strips; the curves include all detections.
        average: frames to average class scores over; None: do not.
    """
    data, out = evaluation_set_of(config), Path(out)
    detections = data.read_detections(results, average)
    shares = detected_shares(data.ground_truth, detections)
    print_log(f'{shares[0]:.1%} of {len(data.annotations):,} boxes have a detection (IoU 0.5); for {shares[1]:.1%} of '
              'these the highest-scoring one has the right class', 'current')
    ranges = dict(matched_ranges(data.ground_truth, detections, len(data.classes), (0.5,)))
    figures = {'precision_recall_by_class': draw_curves(
        curves_by_class(ranges[''], data.classes), f'Precision-recall at IoU 0.5, by class (dots: score {score_thr:g})',
        score_thr)}
    if has_tracks(data.annotations):
        figures['precision_recall_by_motion'] = draw_curves(curves_by_motion(ranges), (
            'Precision-recall at IoU 0.5, by motion\n(mean of classes; a false positive counts in each range)'))
    else:
        print_log(f'no curves by motion: it is measured by the instance_id that annotations of {data.ann_file} lack',
                  'current', level=logging.WARNING)
    parts = list(pages(strips_of(data, ranges[''], score_thr)))
    for number, part in enumerate(parts, 1):
        title = f'Misses at IoU 0.5, videos with most first: page {number} of {len(parts)}'
        figures[f'misses_{number:02d}'] = draw_strips(part, title, score_thr)
    check_folder(out)
    with locked(out):
        return [write_png(rendered(figure), out / f'{name}.png') for name, figure in figures.items()]


class PrecisionRecall(NamedTuple):
    """A curve over COCO's 101 recalls from 0 to 1, of ``boxes`` true boxes.

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
    """A curve per class, in the order of labels, and the mean of those that have boxes; raise InputError if none."""
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
    return [*(_mean(f'{name} (motion IoU {low:g} to {high:g})', ranges[f'_{name}'])
              for name, (low, high) in MOTION_RANGES.items()), _mean('all', ranges[''])]


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
        style = dict(color='black', linewidth=2.6) if curve is curves[-1] else dict(
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
