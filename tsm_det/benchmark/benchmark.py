"""Run a benchmark: from options to figures and the files that hold them."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import cv2
import mmcv
import mmdet
import mmengine
import torch

from tsm_det.benchmark.arms import ArmPlan
from tsm_det.benchmark.cost import count_operations, peak_memory
from tsm_det.benchmark.latency import compare_latency, latency_ratios
from tsm_det.benchmark.report import benchmark_page, draw_benchmark
from tsm_det.benchmark.timing import ratio_of_medians, throughput
from tsm_det.benchmark.training import compare_training, training_plans
from tsm_det.benchmark.workload import BenchmarkOptions, batches_of, frames_of, source_size
from tsm_det.config import load_config
from tsm_det.files import write_json, write_text
from tsm_det.locks import locked
from tsm_det.png import rendered, write_png
from tsm_det.version import __version__

ARM, BASELINE, MMDET = 'tsm', '2d', 'mmdet'
_SETTINGS = ('config', 'baseline', 'checkpoint', 'source', 'warmup', 'streams', 'engine', 'proposals', 'detections',
             'score_thr')


def benchmark(options: BenchmarkOptions, command: str) -> dict:
    """Time a detector and its 2D baseline, write the files named in the options, and return all figures.

    Returns the content of the JSON file, see docs/benchmark.md; it includes ``command``, the command line. Raises
    InputError when an option is wrong, or a file cannot be read or written.
    """
    options.check()
    plans = arm_plans(options)
    with locked(options.json, options.plot, options.report), _threads(options.threads):
        report = {'command': command, 'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
                  'machine': _machine(options.device), 'settings': {name: getattr(options, name) for name in _SETTINGS},
                  **_figures(options, plans)}
    if options.json:
        write_json(report, options.json, indent=2)
    if options.plot:
        write_png(rendered(draw_benchmark(report)), options.plot)
    if options.report:
        write_text(benchmark_page(report), options.report)
    return report


def arm_plans(options: BenchmarkOptions) -> list[ArmPlan]:
    """The detector, its 2D baseline and, if asked for, mmdet's own path with the baseline's weights."""
    configs = {name: options.limit(load_config(path, options.cfg_options))
               for name, path in ((ARM, options.config), (BASELINE, options.baseline))}
    plan = partial(ArmPlan, checkpoint=None if options.checkpoint == 'none' else options.checkpoint,
                   device=options.device, streams=options.streams or 1, trust_checkpoint=options.trust_checkpoint)
    plans = [plan(name, config, engine=options.engine) for name, config in configs.items()]
    return plans + ([plan(MMDET, configs[BASELINE], engine=None)] if options.vs_mmdet else [])


def _figures(options: BenchmarkOptions, plans: Sequence[ArmPlan]) -> dict:
    frames = partial(frames_of, options.source, options.size or source_size(plans[0].config))
    streams = options.streams or 1
    timing = dict(frames=options.frames, warmup=options.warmup, device=options.device)
    batch = next(batches_of(frames(), streams))
    # Memory first, to fail early where there is too little of it.
    costs = {plan.name: {**count_operations(plan, batch[0]), 'memory': peak_memory(plan, batch)} for plan in plans}
    arms = {plan.name: plan.build() for plan in plans}
    samples = compare_latency(arms, lambda: batches_of(frames(), streams), **timing)
    arm, mmdet_arm = samples[ARM], samples.get(MMDET)
    ratios = latency_ratios(arm, samples[BASELINE])
    if mmdet_arm:
        ratios['throughput_vs_mmdet'] = ratio_of_medians(mmdet_arm.wall_ms, arm.wall_ms)
        ratios['processor_throughput_vs_mmdet'] = ratio_of_medians(mmdet_arm.cpu_ms, arm.cpu_ms)
    figures = {
        'size': list(batch[0].shape[:2]), 'frames': options.frames,
        'arms': [{'name': plan.name, 'engine': plan.engine or 'mmdet', **samples[plan.name].summary(streams),
                  'state_bytes': arms[plan.name].state_bytes(), **costs[plan.name]} for plan in plans],
        'ratio': ratios['whole'], 'ratios': ratios}
    if options.streams:
        figures['by_streams'] = throughput(arms, batches_of(frames(), streams), streams, **timing)
    if options.train:
        figures['training'] = compare_training(
            training_plans(*plans[:2]), frames(), options.train, options.warmup, options.clip_length)
    return figures


def _machine(device: str) -> dict[str, str | int]:
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
    return {
        'processor': next(names, platform.processor() or platform.machine()), 'cores': os.cpu_count() or 0,
        'device': torch.cuda.get_device_name(device) if 'cuda' in device else 'cpu',
        'threads': torch.get_num_threads(), 'system': platform.platform(), 'python': platform.python_version(),
        'torch': torch.__version__, 'mmcv': mmcv.__version__, 'mmdet': mmdet.__version__,
        'mmengine': mmengine.__version__, 'tsm_det': __version__}


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """Context manager: sets the threads of torch and OpenCV and restores them on exit; None changes nothing."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        if number is not None:
            torch.set_num_threads(number)
            cv2.setNumThreads(number)
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
