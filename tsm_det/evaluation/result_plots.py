"""Plots of a test run: what tools/plot_results.py calls."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import print_log

from tsm_det.cocovid.motion import has_tracks
from tsm_det.evaluation.coco_ap import matched_ranges
from tsm_det.evaluation.evaluation_set import evaluation_set_of
from tsm_det.evaluation.precision_recall import curves_by_class, curves_by_motion, detected_shares, draw_curves
from tsm_det.evaluation.strips import draw_strips, pages, strips_of
from tsm_det.png import rendered, write_png


def plot_results(config: Config, results: str | os.PathLike, out: str | os.PathLike,
                 score_thr: float = 0.3, average: int | None = None) -> list[Path]:
    """Write ``precision_recall_by_class.png``, ``precision_recall_by_motion.png`` and ``misses_01.png``, ...

    Also log the share of boxes with a detection, and of these with the right class. The plot by motion is left out,
    with a warning, where annotations have no ``instance_id``.

    Args:
        config: from :func:`tsm_det.config.load_config`.
        results: what ``tools/test.py --out`` wrote.
        out: folder; made if missing.
        score_thr: detections below it count as misses in the strips; the curves include all detections.
        average: frames to average class scores over; None: do not.

    Returns:
        The files.

    Raises:
        InputError: a file is missing or does not fit the others, or ``out`` cannot be written.
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
    return [write_png(rendered(figure), out / f'{name}.png') for name, figure in figures.items()]
