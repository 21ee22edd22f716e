"""The whole of a benchmark: from options to figures and the files they are written to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from functools import partial

from tsm_det.benchmark.arms import ArmPlan
from tsm_det.benchmark.cost import count_operations, peak_memory
from tsm_det.benchmark.distribution import ratio_of_medians
from tsm_det.benchmark.latency import compare_latency, latency_ratios
from tsm_det.benchmark.machine import machine, threads
from tsm_det.benchmark.markdown import benchmark_page
from tsm_det.benchmark.options import Options
from tsm_det.benchmark.plot import draw_benchmark
from tsm_det.benchmark.streams import throughput
from tsm_det.benchmark.training import compare_training
from tsm_det.benchmark.workload import Workload, batches_of, frames_of, source_size
from tsm_det.config import load_config
from tsm_det.files import write_json, write_text
from tsm_det.png import rendered, write_png

ARM, BASELINE, MMDET = 'tsm', '2d', 'mmdet'


def benchmark(options: Options, command: str) -> dict:
    """Time a detector beside its 2D baseline, and write what was asked for.

    Args:
        options: what is timed.
        command: that was typed, for the record.

    Returns:
        All figures, as docs/benchmark.md explains them: ``command``, ``date``, ``machine``, ``settings``, ``size``,
        ``arms``, ``ratio``, ``ratios``; ``by_streams`` and ``training`` where they were asked for.

    Raises:
        InputError: an option makes no sense, or a file cannot be read or written.
    """
    options.check()
    plans = arm_plans(options)
    with threads(options.threads):
        report = {'command': command, 'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
                  'machine': machine(options.device), 'settings': _settings(options), **_figures(options, plans)}
    if options.json:
        write_json(report, options.json, indent=2)
    if options.plot:
        write_png(rendered(draw_benchmark(report)), options.plot)
    if options.report:
        write_text(benchmark_page(report), options.report)
    return report


def arm_plans(options: Options) -> list[ArmPlan]:
    """The detector, its 2D baseline and, if asked for, mmdet's own path with the baseline's weights."""
    workload = Workload(options.proposals, options.detections, options.score_thr)
    paths = {ARM: options.config, BASELINE: options.baseline}
    configs = {name: workload.fix(load_config(path, options.cfg_options)) for name, path in paths.items()}
    plan = partial(ArmPlan, checkpoint=None if options.checkpoint == 'none' else options.checkpoint,
                   device=options.device, streams=options.streams or 1)
    plans = [plan(name, config, engine=options.engine) for name, config in configs.items()]
    return plans + ([plan(MMDET, configs[BASELINE], engine=None)] if options.vs_mmdet else [])


def _figures(options: Options, plans: Sequence[ArmPlan]) -> dict:
    frames = partial(frames_of, options.source, options.size or source_size(plans[0].config))
    streams = options.streams or 1
    timing = dict(warmup=options.warmup, device=options.device)
    batch = next(batches_of(frames(), streams))
    # Memory first: should there be too little of it, the time is not spent in vain.
    costs = {plan.name: {**count_operations(plan, batch[0]), 'memory': peak_memory(plan, batch)} for plan in plans}
    arms = {plan.name: plan.build() for plan in plans}
    samples = compare_latency(arms, lambda: batches_of(frames(), streams), options.frames, **timing)
    ratios = latency_ratios(samples, ARM, BASELINE)
    if MMDET in samples:
        mmdet, arm = samples[MMDET], samples[ARM]
        ratios['throughput_vs_mmdet'] = ratio_of_medians(mmdet.wall_ms, arm.wall_ms)
        ratios['processor_throughput_vs_mmdet'] = ratio_of_medians(mmdet.processor_ms, arm.processor_ms)
    figures = {
        'size': list(batch[0].shape[:2]), 'frames': options.frames,
        'arms': [{'name': plan.name, 'engine': plan.engine or 'mmdet', **samples[plan.name].summary(streams),
                  'state_bytes': arms[plan.name].state_bytes(), **costs[plan.name]} for plan in plans],
        'ratio': ratios['whole'], 'ratios': ratios}
    if options.streams:
        figures['by_streams'] = throughput(
            arms, lambda count: batches_of(frames(), count), streams, options.frames, **timing)
    if options.train:
        figures['training'] = compare_training(
            plans[:2], frames(), options.train, options.warmup, options.clip_length)
    return figures


def _settings(options: Options) -> dict:
    names = ('warmup', 'streams', 'engine', 'proposals', 'detections', 'score_thr', 'source', 'checkpoint')
    return {name: getattr(options, name) for name in names}
