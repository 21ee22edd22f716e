"""The page and the picture of a benchmark, from its JSON content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from tsm_det.benchmark.latency import STAGES
from tsm_det.png import COLOURS, arm_colours
from tsm_det.text_table import markdown_table

_BASELINE = '2d'  # name of the arm
_RATIOS = {
    'whole': 'time per call, tsm / 2d',
    'backbone_neck': 'backbone + neck, tsm / 2d',
    'maps': 'backbone + neck + RPN convolutions, tsm / 2d',
    'processor': 'CPU time per call, tsm / 2d',
    'processor_backbone_neck': 'CPU time of backbone + neck, tsm / 2d',
    'processor_maps': 'CPU time of backbone + neck + RPN convolutions, tsm / 2d',
    'throughput_vs_mmdet': 'frames per second, tsm / mmdet',
    'processor_throughput_vs_mmdet': 'frames per second of CPU time, tsm / mmdet'}


def benchmark_page(report: dict) -> str:
    """Format a benchmark as Markdown that also reads well in a terminal."""
    ratios = {what: report['ratios'][key] for key, what in _RATIOS.items() if key in report['ratios']}
    sections = [
        _conditions(report),
        ['## Ratios', '', 'Ratios of medians; the interval is a bootstrap over pairs of interleaved calls.', '',
         *_ratio_table(ratios)],
        _latency(report['arms']), _stages(report['arms']), _cost(report['arms'])]
    sections += [section(report[key]) for key, section in (('by_streams', _streams), ('training', _training))
                 if key in report]
    return '\n'.join(line for section in sections for line in (*section, ''))


def _conditions(report: dict) -> list[str]:
    machine, settings, (height, width) = report['machine'], report['settings'], report['size']
    weights = 'random weights' if settings['checkpoint'] == 'none' else settings['checkpoint']
    return [
        '# Benchmark', '', f'    {report["command"]}', '',
        f'{report["date"]}, {machine["processor"]}, cores: {machine["cores"]}, threads: {machine["threads"]}, '
        f'device: {machine["device"]}, {machine["system"]}.',
        f'Python {machine["python"]}, torch {machine["torch"]}, mmcv {machine["mmcv"]}, mmdet {machine["mmdet"]}, '
        f'mmengine {machine["mmengine"]}, tsm_det {machine["tsm_det"]}.', '',
        f'{report["frames"]} calls per arm after {settings["warmup"]} of warm-up, interleaved in one process in '
        f'alternating order; streams per call: {settings["streams"] or 1}; {width}x{height} px of '
        f'{settings["source"] or "random frames"}; {weights}; engine: {settings["engine"]}.',
        f'Limits per frame: at most {settings["proposals"]} proposals and {settings["detections"]} detections that '
        f'score above {settings["score_thr"]:g}. Measured:', '',
        *markdown_table(['arm', 'proposals', 'detections'], [
            [arm['name'], _range(*(arm['proposals'] or (0, 0))), _range(*arm['detections'])]
            for arm in report['arms']])]


def _latency(arms: Sequence[dict]) -> list[str]:
    return ['## Latency', '', 'Images in, detections out, pipeline and state included; ms per call.', '',
            *markdown_table(['arm', 'engine', 'p50', 'p95', 'p99', 'CPU time', 'frames per second'], [
                [arm['name'], arm['engine'],
                 *(f'{arm[key]:.1f}' for key in ('p50_ms', 'p95_ms', 'p99_ms', 'processor_ms')),
                 f'{arm["fps"]:.2f}'] for arm in arms])]


def _stages(arms: Sequence[dict]) -> list[str]:
    stages = [stage for stage in STAGES if any(stage in arm['stages_ms'] for arm in arms)]
    joined = '`maps`: backbone, neck and RPN convolutions, which the engine runs as one call.'
    return ['## Stages', '', 'Medians, ms per call.', *([joined] if 'maps' in stages else []), '',
            *markdown_table(['arm', *stages], [
                [arm['name'], *(f'{arm["stages_ms"][stage]:.1f}' if stage in arm['stages_ms'] else '-'
                                for stage in stages)] for arm in arms])]


def _cost(arms: Sequence[dict]) -> list[str]:
    rows = []
    for arm in arms:
        sizes = arm['state_bytes'], *(arm['memory'][key] for key in ('peak_bytes', 'before_bytes', 'cuda_peak_bytes'))
        rows.append([arm['name'], f'{arm["parameters"]:,}', f'{arm["flops"] / 1e9:.2f}',
                     *('-' if size is None else f'{size / 1e6:.1f}' for size in sizes)])
    head = ['arm', 'parameters', 'GFLOPs', 'state MB', 'peak memory MB', 'before MB', 'peak CUDA MB']
    return ['## Cost', '', 'GFLOPs: convolutions and matrix products of one frame in eager mode, a multiply-add as '
            'two. State: of all streams. Peak memory: resident, of a separate process that builds the arm and makes '
            'three calls; "before" is the part that Python and its libraries took.', '', *markdown_table(head, rows)]


def _streams(rows: Sequence[dict]) -> list[str]:
    names = [arm['name'] for arm in rows[0]['arms']]
    head = [f'{name} {unit}' for unit in ('ms per call', 'CPU ms per frame', 'frames per second') for name in names]
    return ['## Streams', '', 'One frame of each stream per call, interleaved; frames per second over '
            'all streams.', '', *markdown_table(['streams', *head], [
                [row['streams'], *(f'{arm["p50_ms"]:.1f}' for arm in row['arms']),
                 *(f'{arm["processor_ms"] / row["streams"]:.1f}' for arm in row['arms']),
                 *(f'{arm["fps"]:.2f}' for arm in row['arms'])] for row in rows])]


def _training(training: dict) -> list[str]:
    return ['## Training', '', f'Steps per arm: {training["steps"]}, interleaved, on one clip of '
            f'{training["clip_length"]} frames each: losses, backward, optimizer; eager, learning rate 0; ms per step.',
            '', *markdown_table(['arm', 'p50', 'p95', 'CPU time', 'frames per second'], [
                [arm['name'], *(f'{arm[key]:.1f}' for key in ('p50_ms', 'p95_ms', 'processor_ms')),
                 f'{arm["fps"]:.2f}'] for arm in training['arms']]),
            '', '`tsm plain`: mmdet\'s RoIAlign, an optimizer that is not fused; `tsm amp`: mixed precision.', '',
            *_ratio_table({f'{what} per step, tsm / {name}': ratio
                           for what, key in (('time', 'ratios'), ('CPU time', 'ratios_processor'))
                           for name, ratio in training[key].items()})]


def _ratio_table(ratios: dict[str, dict[str, float]]) -> list[str]:
    return markdown_table(['ratio', 'median', '95 % interval'], [
        [what, f'{ratio["median"]:.3f}', f'{ratio["low"]:.3f} to {ratio["high"]:.3f}']
        for what, ratio in ratios.items()])


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f'{low} to {high}'


def draw_benchmark(report: dict) -> Figure:
    """Plot a benchmark: one panel for latency, one for stages, and one for streams if they were timed."""
    arms, rows, machine, ratios = report['arms'], report.get('by_streams'), report['machine'], report['ratios']
    heights = [1.3 + 0.55 * len(arms)] * 2 + [3.2] * bool(rows)  # inches
    figure = Figure(figsize=(9, sum(heights) + 0.9), dpi=110, layout='constrained')
    latency, stages, *rest = figure.subplots(len(heights), 1, gridspec_kw={'height_ratios': heights})
    figure.suptitle('\n'.join([
        *('{}: {median:.3f} (95 % interval {low:.3f} to {high:.3f})'.format(_RATIOS[key], **ratios[key])
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
    colours = arm_colours((arm['name'] for arm in arms), _BASELINE)
    for row, arm in enumerate(arms):
        times_ms = np.array(arm['samples']['wall_ms'])
        axes.scatter(times_ms, row + rng.uniform(-0.24, 0.24, len(times_ms)), s=12, alpha=0.5, lw=0,
                     color=colours[arm['name']])
        axes.boxplot(times_ms, positions=[row], orientation='horizontal', widths=0.5, whis=(5, 95), showfliers=False,
                     medianprops=dict(color='black', lw=1.5))
        text = '   '.join(f'{key[:3]} {arm[key]:.1f}' for key in ('p50_ms', 'p95_ms', 'p99_ms'))
        axes.annotate(text, (1, row), xycoords=('axes fraction', 'data'), xytext=(-6, 0), textcoords='offset points',
                      ha='right', va='center', fontsize=9, bbox=dict(fc='white', ec='none', alpha=0.8))
    low, high = min(min(arm['samples']['wall_ms']) for arm in arms), max(arm['p99_ms'] for arm in arms)
    # Leave room at the right for the numbers; calls slower than every p99 lie beyond it.
    axes.set(xlim=(low - 0.05 * (high - low), high + 0.6 * (high - low) + 1e-6),
             xlabel='ms per call; box: quartiles, whiskers: 5 % and 95 %')
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
    colours = arm_colours((arm['name'] for arm in rows[0]['arms']), _BASELINE)
    for name, *fps in zip(colours, *([arm['fps'] for arm in row['arms']] for row in rows), strict=True):
        axes.plot(counts, fps, 'o-', color=colours[name], label=name)
    axes.set_xscale('log', base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set(xlabel='streams per batch', ylabel='frames per second', ylim=(0, 1.05 * axes.get_ylim()[1]))
    axes.set_title('Throughput, all streams together', loc='left', fontsize=10)
    axes.legend(fontsize=9, frameon=False)
    axes.grid(alpha=0.3)
