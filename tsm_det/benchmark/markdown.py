"""A page about a benchmark, which reads as well in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tsm_det.benchmark.stages import STAGES

_RATIOS = {
    'whole': 'time of a call, tsm / 2d',
    'backbone_neck': 'backbone + neck, tsm / 2d',
    'maps': 'backbone + neck + RPN convolutions, tsm / 2d',
    'processor': 'processor time of a call, tsm / 2d',
    'processor_backbone_neck': 'processor time of backbone + neck, tsm / 2d',
    'processor_maps': 'processor time of backbone + neck + RPN convolutions, tsm / 2d',
    'throughput_vs_mmdet': 'frames per second, tsm / mmdet',
    'processor_throughput_vs_mmdet': 'frames per second of processor time, tsm / mmdet'}


def benchmark_page(report: dict) -> str:
    """The Markdown page of what :func:`tsm_det.benchmark.benchmark.benchmark` returns."""
    return '\n'.join(['# Benchmark', '', *_conditions(report), '## Ratios', '', *_ratios(report['ratios']),
                      '## Latency', '', *_latency(report), '## Stages', '', *_stages(report['arms']),
                      '## Cost', '', *_cost(report['arms']), *_streams(report), *_training(report)])


def _conditions(report: dict) -> Iterator[str]:
    machine, settings, (height, width) = report['machine'], report['settings'], report['size']
    source = settings['source'] or 'random frames'
    weights = 'random weights' if settings['checkpoint'] == 'none' else settings['checkpoint']
    yield f'    {report["command"]}'
    yield ''
    yield (f'{report["date"]}, {machine["processor"]}, cores: {machine["cores"]}, threads: {machine["threads"]}, '
           f'device: {machine["device"]}, {machine["system"]}.')
    yield (f'Python {machine["python"]}, torch {machine["torch"]}, mmcv {machine["mmcv"]}, mmdet {machine["mmdet"]}, '
           f'mmengine {machine["mmengine"]}, tsm_det {machine["tsm_det"]}.')
    yield ''
    yield (f'{report["frames"]} calls an arm after {settings["warmup"]} of warm-up, interleaved call by call in one '
           f'process, the order alternating; streams a call: {settings["streams"] or 1}; {width}x{height} px of '
           f'{source}; {weights}; engine: {settings["engine"]}.')
    yield (f'Fixed for each frame: at most {settings["proposals"]} proposals and {settings["detections"]} detections, '
           f'which score more than {settings["score_thr"]:g}. Seen:')
    yield ''
    yield from _table(['arm', 'proposals', 'detections'], [
        [arm['name'], _span(arm['proposals']), _span(arm['detections'])] for arm in report['arms']])


def _ratios(ratios: dict[str, dict]) -> Iterator[str]:
    yield 'Of medians; the interval is a bootstrap over calls, drawn in the pairs they were timed in.'
    yield ''
    yield from _table(['ratio', 'median', '95 % interval'], [
        [what, *_interval(ratios[key])] for key, what in _RATIOS.items() if key in ratios])


def _latency(report: dict) -> Iterator[str]:
    yield "A user's call: image in, detections out, pipeline and state included; ms a call."
    yield ''
    yield from _table(['arm', 'engine', 'p50', 'p95', 'p99', 'processor time', 'frames per second'], [
        [arm['name'], arm['engine'], *(f'{arm[key]:.1f}' for key in ('p50_ms', 'p95_ms', 'p99_ms', 'processor_ms')),
         f'{arm["fps"]:.2f}'] for arm in report['arms']])


def _stages(arms: Sequence[dict]) -> Iterator[str]:
    stages = [stage for stage in STAGES if any(stage in arm['stages_ms'] for arm in arms)]
    yield 'Medians, ms a call.'
    if 'maps' in stages:
        yield "`maps`: backbone, neck and the RPN's convolutions, of which the engine makes one call."
    yield ''
    yield from _table(['arm', *stages], [
        [arm['name'], *(f'{arm["stages_ms"][stage]:.1f}' if stage in arm['stages_ms'] else '-' for stage in stages)]
        for arm in arms])


def _cost(arms: Sequence[dict]) -> Iterator[str]:
    yield ('Operations of one frame: convolutions and matrix products in eager mode, a multiply-add as two. State: of '
           'all streams. Peak memory: resident, of a process of its own that builds the arm and makes three calls; '
           '"before" is what Python and its libraries had taken by then.')
    yield ''
    yield from _table(['arm', 'parameters', 'GFLOPs', 'state MB', 'peak memory MB', 'before MB', 'peak CUDA MB'], [
        [arm['name'], f'{arm["parameters"]:,}', f'{arm["flops"] / 1e9:.2f}', _megabytes(arm['state_bytes']),
         *(_megabytes(arm['memory'][key]) for key in ('peak_bytes', 'before_bytes', 'cuda_peak_bytes'))]
        for arm in arms])


def _streams(report: dict) -> Iterator[str]:
    if 'by_streams' not in report:
        return
    yield from ['## Streams', '', 'One frame of each stream a call; all streams together.', '']
    names = [arm['name'] for arm in report['arms']]
    yield from _table(
        ['streams', *(f'{name} {what}' for what in ('ms a call', 'frames per second') for name in names)],
        [[str(row['streams']), *(f'{arm["p50_ms"]:.1f}' for arm in row['arms']),
          *(f'{arm["fps"]:.2f}' for arm in row['arms'])] for row in report['by_streams']])


def _training(report: dict) -> Iterator[str]:
    if 'training' not in report:
        return
    training = report['training']
    yield from ['## Training', '']
    yield (f'{training["steps"]} steps an arm, interleaved, each of one clip of {training["clip_length"]} frames: '
           'losses, backward, optimizer; eager, learning rate 0; ms a step.')
    yield ''
    yield from _table(['arm', 'p50', 'p95', 'processor time', 'frames per second'], [
        [arm['name'], *(f'{arm[key]:.1f}' for key in ('p50_ms', 'p95_ms', 'processor_ms')), f'{arm["fps"]:.2f}']
        for arm in training['arms']])
    yield from _table(['ratio', 'median', '95 % interval'], [
        ['time of a step, tsm / 2d', *_interval(training['ratio'])],
        ['processor time of a step, tsm / 2d', *_interval(training['ratio_processor'])]])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, ['-' * width for width in widths], *rows):
        yield f'| {" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |'
    yield ''


def _interval(ratio: dict[str, float]) -> tuple[str, str]:
    return f'{ratio["median"]:.3f}', f'{ratio["low"]:.3f} to {ratio["high"]:.3f}'


def _span(limits: Sequence[int]) -> str:
    low, high = limits
    return str(low) if low == high else f'{low} to {high}'


def _megabytes(number: int | None) -> str:
    return '-' if number is None else f'{number / 1e6:.1f}'
