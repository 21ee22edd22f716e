"""The page of a benchmark: Markdown that also reads well in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from tsm_det.benchmark.latency import STAGES
from tsm_det.text_table import markdown_table

RATIOS = {
    'whole': 'time per call, tsm / 2d',
    'backbone_neck': 'backbone + neck, tsm / 2d',
    'maps': 'backbone + neck + RPN convolutions, tsm / 2d',
    'processor': 'CPU time per call, tsm / 2d',
    'processor_backbone_neck': 'CPU time of backbone + neck, tsm / 2d',
    'processor_maps': 'CPU time of backbone + neck + RPN convolutions, tsm / 2d',
    'throughput_vs_mmdet': 'frames per second, tsm / mmdet',
    'processor_throughput_vs_mmdet': 'frames per second of CPU time, tsm / mmdet'}


def benchmark_page(report: dict) -> str:
    """Format what :func:`tsm_det.benchmark.benchmark.benchmark` returns."""
    sections = [_conditions(report), _ratios(report['ratios']), _latency(report['arms']), _stages(report['arms']),
                _cost(report['arms'])]
    if 'by_streams' in report:
        sections.append(_streams(report['by_streams']))
    if 'training' in report:
        sections.append(_training(report['training']))
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
            [arm['name'], _range(*arm['proposals']), _range(*arm['detections'])] for arm in report['arms']])]


def _ratios(ratios: dict[str, dict]) -> list[str]:
    return ['## Ratios', '', 'Ratios of medians; the interval is a bootstrap over pairs of interleaved calls.', '',
            *_ratio_table({what: ratios[key] for key, what in RATIOS.items() if key in ratios})]


def _latency(arms: Sequence[dict]) -> list[str]:
    return ['## Latency', '', 'Images in, detections out, pipeline and state included; ms per call.', '',
            *markdown_table(['arm', 'engine', 'p50', 'p95', 'p99', 'CPU time', 'frames per second'], [
                [arm['name'], arm['engine'], *_times(arm, 'p50_ms', 'p95_ms', 'p99_ms', 'processor_ms'),
                 f'{arm["fps"]:.2f}'] for arm in arms])]


def _stages(arms: Sequence[dict]) -> list[str]:
    stages = [stage for stage in STAGES if any(stage in arm['stages_ms'] for arm in arms)]
    joined = ['`maps`: backbone, neck and RPN convolutions, which the engine runs as one call.']
    return ['## Stages', '', 'Medians, ms per call.', *(joined if 'maps' in stages else []), '',
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
    head = [f'{name} {unit}' for unit in ('ms per call', 'frames per second') for name in names]
    return ['## Streams', '', 'One frame of each stream per call; frames per second over all streams.', '',
            *markdown_table(['streams', *head], [
                [row['streams'], *(f'{arm["p50_ms"]:.1f}' for arm in row['arms']),
                 *(f'{arm["fps"]:.2f}' for arm in row['arms'])] for row in rows])]


def _training(training: dict) -> list[str]:
    return ['## Training', '', f'Steps per arm: {training["steps"]}, interleaved, on one clip of '
            f'{training["clip_length"]} frames each: losses, backward, optimizer; eager, learning rate 0; ms per step.',
            '', *markdown_table(['arm', 'p50', 'p95', 'CPU time', 'frames per second'], [
                [arm['name'], *_times(arm, 'p50_ms', 'p95_ms', 'processor_ms'), f'{arm["fps"]:.2f}']
                for arm in training['arms']]),
            '', *_ratio_table({'time per step, tsm / 2d': training['ratio'],
                               'CPU time per step, tsm / 2d': training['ratio_processor']})]


def _ratio_table(ratios: dict[str, dict[str, float]]) -> list[str]:
    return markdown_table(['ratio', 'median', '95 % interval'], [
        [what, f'{ratio["median"]:.3f}', f'{ratio["low"]:.3f} to {ratio["high"]:.3f}']
        for what, ratio in ratios.items()])


def _times(arm: dict, *keys: str) -> list[str]:
    return [f'{arm[key]:.1f}' for key in keys]


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f'{low} to {high}'
