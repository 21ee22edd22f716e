"""Plot a benchmark: latency of calls, stages, and throughput over streams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tsm_det.benchmark.latency import STAGES
from tsm_det.benchmark.markdown import RATIOS
from tsm_det.png import COLOURS

_INCHES_PER_ARM, _INCHES_AROUND = 0.55, 1.3


def draw_benchmark(report: dict) -> Figure:
    """Plot a benchmark's report: one panel for latency, one for stages, one for streams if they were timed."""
    arms, rows, machine, ratios = report['arms'], report.get('by_streams'), report['machine'], report['ratios']
    heights = [_INCHES_AROUND + _INCHES_PER_ARM * len(arms)] * 2 + [3.2] * bool(rows)
    figure = Figure(figsize=(9, sum(heights) + 0.9), dpi=110, layout='constrained')
    latency, stages, *rest = figure.subplots(len(heights), 1, gridspec_kw={'height_ratios': heights})
    figure.suptitle('\n'.join([
        *('{}: {median:.3f} (95 % interval {low:.3f} to {high:.3f})'.format(RATIOS[key], **ratios[key])
          for key in ('whole', 'throughput_vs_mmdet') if key in ratios),
        f'{machine["processor"]}, device: {machine["device"]}, threads: {machine["threads"]}, '
        f'engine: {report["settings"]["engine"]}']), fontsize=11)
    _draw_latency(latency, arms)
    _draw_stages(stages, arms)
    for axes in (latency, stages):
        axes.set_yticks(range(len(arms)), [arm['name'] for arm in arms])
        axes.set_ylim(len(arms) - 0.4, -0.6)
        axes.grid(axis='x', alpha=0.3)
        axes.set_axisbelow(True)
    if rows:
        _draw_streams(rest[0], rows)
    for axes in figure.axes:
        axes.spines[['top', 'right']].set_visible(False)
    return figure


def _draw_latency(axes: Axes, arms: Sequence[dict]) -> None:
    rng = np.random.default_rng(0)
    for row, (arm, colour) in enumerate(zip(arms, COLOURS, strict=False)):
        times_ms = np.array(arm['samples']['wall_ms'])
        axes.scatter(times_ms, row + rng.uniform(-0.24, 0.24, len(times_ms)), s=12, color=colour, alpha=0.5, lw=0)
        axes.boxplot(times_ms, positions=[row], orientation='horizontal', widths=0.5, whis=(5, 95), showfliers=False,
                     medianprops=dict(color='black', lw=1.5))
        text = '   '.join(f'{key[:3]} {arm[key]:.1f}' for key in ('p50_ms', 'p95_ms', 'p99_ms'))
        axes.annotate(text, (1, row), xycoords=('axes fraction', 'data'), xytext=(-6, 0), textcoords='offset points',
                      ha='right', va='center', fontsize=9, bbox=dict(fc='white', ec='none', alpha=0.8))
    low, high = min(min(arm['samples']['wall_ms']) for arm in arms), max(arm['p99_ms'] for arm in arms)
    # Leave room at the right for the numbers; calls slower than every p99 lie beyond it.
    axes.set_xlim(low - 0.05 * (high - low), high + 0.6 * (high - low) + 1e-6)
    axes.set_xlabel('ms per call; box: quartiles, whiskers: 5 % and 95 %')
    axes.set_title(f'Latency of {len(arms[0]["samples"]["wall_ms"])} calls', loc='left', fontsize=10)


def _draw_stages(axes: Axes, arms: Sequence[dict]) -> None:
    longest = max(sum(arm['stages_ms'].values()) for arm in arms)
    left = np.zeros(len(arms))
    for stage, colour in zip(STAGES, COLOURS, strict=False):
        widths = np.array([arm['stages_ms'].get(stage, 0.0) for arm in arms])
        if widths.any():
            bars = axes.barh(range(len(arms)), widths, 0.6, left, color=colour, label=stage)
            axes.bar_label(bars, [f'{width:.1f}' if width > 0.06 * longest else '' for width in widths], fontsize=9,
                           label_type='center', color='black' if sum(to_rgb(colour)) > 1.3 else 'white')
        left += widths
    axes.set_xlabel('ms per call, medians')
    axes.set_title('Stages', loc='left', fontsize=10)
    axes.legend(ncols=len(STAGES), loc='lower right', bbox_to_anchor=(1, 1), fontsize=9, frameon=False,
                handlelength=1, columnspacing=1.2)


def _draw_streams(axes: Axes, rows: Sequence[dict]) -> None:
    counts = [row['streams'] for row in rows]
    for arms, colour in zip(zip(*(row['arms'] for row in rows), strict=True), COLOURS, strict=False):
        axes.plot(counts, [arm['fps'] for arm in arms], 'o-', color=colour, label=arms[0]['name'])
    axes.set_xscale('log', base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set_ylim(0, 1.05 * axes.get_ylim()[1])
    axes.set_xlabel('streams per batch')
    axes.set_ylabel('frames per second')
    axes.set_title('Throughput, all streams together', loc='left', fontsize=10)
    axes.legend(fontsize=9, frameon=False)
    axes.grid(alpha=0.3)
