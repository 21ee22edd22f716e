"""Pictures of a test run: what tools/plot_results.py calls."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from tsm_det.errors import InputError
from tsm_det.evaluation.matched_results import evaluator_with_truth, match_results
from tsm_det.evaluation.precision_recall import curves_by_class, curves_by_motion, draw_curves
from tsm_det.evaluation.strips import draw_strips, pages, strips_of
from tsm_det.png import rendered, write_png


def plot_results(config: Config, results: str | os.PathLike, out: str | os.PathLike,
                 score_thr: float = 0.3) -> list[Path]:
    """Write ``precision_recall_by_class.png``, ``precision_recall_by_motion.png`` and ``misses_01.png``, ...

    The picture by motion is left out, and a warning says why, where annotations have no ``instance_id``.

    Args:
        config: from :func:`tsm_det.config.load_config`.
        results: what ``tools/test.py --out`` wrote.
        out: folder; made if missing.
        score_thr: detections below it count as misses in the strips; the curves have all of them.

    Returns:
        The files.

    Raises:
        InputError: a file is missing or does not fit the others, or ``out`` cannot be written.
    """
    evaluation, out = match_results(config, results), Path(out)
    figures = {'by_class': draw_curves(
        curves_by_class(evaluation), f'Precision-recall at IoU 0.5, by class (dots: score {score_thr:g})', score_thr)}
    try:
        curves = curves_by_motion(evaluation, bool(evaluator_with_truth(config).get('count_key_frame')))
        figures['by_motion'] = draw_curves(
            curves, 'Precision-recall at IoU 0.5, by motion\n(mean of classes; a false alarm counts for each speed)')
    except InputError as error:
        print_log(f'no curves by motion: {error}', 'current', level=logging.WARNING)
    written = [write_png(rendered(figure), out / f'precision_recall_{name}.png') for name, figure in figures.items()]
    parts = list(pages(strips_of(evaluation, score_thr)))
    for number, part in enumerate(parts, 1):
        title = f'Misses at IoU 0.5, most first: page {number} of {len(parts)}'
        written.append(write_png(rendered(draw_strips(part, title, score_thr)), out / f'misses_{number:02d}.png'))
    return written
