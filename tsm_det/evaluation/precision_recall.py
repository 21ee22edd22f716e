"""Precision-recall curves at IoU 0.5, by class and by motion."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from pycocotools.cocoeval import COCOeval

from tsm_det.cocovid.motion import MOTION_RANGES
from tsm_det.errors import InputError
from tsm_det.evaluation.matched_results import silence
from tsm_det.evaluation.tables import has_tracks, truth_table
from tsm_det.png import COLOURS

# After the last colour come the same again with another dash.
_DASHES = ('-', '--', ':', '-.')


class Curve(NamedTuple):
    """A curve over pycocotools' 101 recalls from 0 to 1.

    Args:
        name: for the legend.
        boxes: how many there are to find.
        precision: ``(101,)``, the best at that recall or more; NaN without a box.
        scores: ``(101,)``, the score at that recall; None where classes are averaged.
    """

    name: str
    boxes: int
    precision: np.ndarray
    scores: np.ndarray | None = None

    @property
    def ap50(self) -> float:
        """The area under it, as in ``coco/AP50``; NaN without a box."""
        return float(self.precision.mean())


def curves_by_class(evaluation: COCOeval) -> list[Curve]:
    """A curve a class, in the order of category ids, and the mean of those that have boxes.

    Args:
        evaluation: from :func:`tsm_det.evaluation.matched_results.match_results`.

    Raises:
        InputError: there is no box to find.
    """
    precision, boxes = evaluation.eval['precision'][0, :, :, 0, 0], _boxes_by_class(evaluation)
    if not boxes.any():
        raise InputError('the annotation file has no box of the classes of the config, so no curve can be drawn')
    scores = evaluation.eval['scores'][0, :, :, 0, 0]
    precision = np.where(boxes > 0, precision, np.nan)
    curves = [Curve(evaluation.cocoGt.cats[category]['name'], int(boxes[k]), precision[:, k], scores[:, k])
              for k, category in enumerate(evaluation.params.catIds)]
    return [*curves, _mean('mean of classes', evaluation)]


def curves_by_motion(evaluation: COCOeval, count_key_frame: bool = False) -> list[Curve]:
    """The mean over classes for slow, medium and fast objects, and for all.

    These are ``coco/AP50_slow`` and so on: a detection of an object of another speed counts neither way, a false alarm
    counts for each speed. So where few boxes are of one speed, its curve is low.

    Args:
        evaluation: as above.
        count_key_frame: VIDMetric's key of that name.

    Raises:
        InputError: a box has no ``instance_id``, without which there is no motion.
    """
    motion = _motion(evaluation, count_key_frame)
    curves = []
    for name, (low, high) in MOTION_RANGES.items():
        # Both ends belong to a range, as in the metrics.
        ranged = _counting(evaluation, {box for box, value in motion.items() if low <= value <= high})
        curves.append(_mean(f'{name} (motion IoU {low:g} to {high:g})', ranged))
    return [*curves, _mean('all', evaluation)]


def draw_curves(curves: Sequence[Curve], title: str, score_thr: float | None = None) -> Figure:
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


def _motion(evaluation: COCOeval, count_key_frame: bool) -> dict[int, float]:
    """Motion IoU by annotation id."""
    truth, cat_ids = evaluation.cocoGt, evaluation.params.catIds
    boxes = [box for box in truth.dataset['annotations'] if box['category_id'] in cat_ids]
    if not has_tracks(boxes):
        lacking = sum(not box.get('instance_id') for box in boxes)
        raise InputError(f'{lacking} of {len(boxes)} annotations have no instance_id, by which motion is measured')
    images = [truth.imgs[image] for image in sorted(truth.imgs)]
    motion = truth_table(images, boxes, cat_ids, count_key_frame).motion.tolist()
    return {box['id']: value for box, value in zip(boxes, motion, strict=True)}


def _counting(evaluation: COCOeval, counted: set[int]) -> COCOeval:
    """The same detections matched anew, with all boxes ignored but those whose annotation ids are given."""
    anew = copy.copy(evaluation)
    for box in evaluation.cocoGt.anns.values():
        # Where pycocotools looks; the matches that evaluation has already made stay as they are.
        box['ignore'] = box['iscrowd'] or box['id'] not in counted
    anew.evalImgs = [entry and anew.evaluateImg(*(entry[key] for key in ('image_id', 'category_id', 'aRng', 'maxDet')))
                     for entry in evaluation.evalImgs]
    with silence():
        anew.accumulate()
    return anew


def _mean(name: str, evaluation: COCOeval) -> Curve:
    boxes = _boxes_by_class(evaluation)
    curves = evaluation.eval['precision'][0, :, boxes > 0, 0, 0]
    return Curve(name, int(boxes.sum()), curves.mean(axis=0) if len(curves) else np.full(101, np.nan))


def _boxes_by_class(evaluation: COCOeval) -> np.ndarray:
    boxes = dict.fromkeys(evaluation.params.catIds, 0)
    for entry in evaluation.evalImgs:
        if entry:
            boxes[entry['category_id']] += int(np.count_nonzero(np.logical_not(entry['gtIgnore'])))
    return np.array(list(boxes.values()))
