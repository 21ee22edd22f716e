"""Time calls of detectors and the stages inside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
from mmdet.structures import DetDataSample
from torch import nn

from tsm_det.benchmark.arms import TimedArm
from tsm_det.benchmark.timing import TimedCall, interleaved, percentiles, ratio_of_medians, timed

# 'maps' replaces backbone and neck, and 'network' everything after 'preprocess', where an engine runs them as one call.
STAGES = ('preprocess', 'backbone', 'neck', 'maps', 'network', 'rpn', 'head', 'roi', 'post')


class StageClock(ExitStack):
    """Context manager: replaces an arm's stage methods with timed ones and restores them on exit.

    Call the clock in place of the arm; then ``times_ms`` and ``cpu_ms`` have wall-clock and CPU time per stage without
    ``post``, the rest of the call, and ``proposals`` their number per frame. On CUDA the device is synchronised between
    stages, which slows the call: time whole calls without a clock.
    """

    def __init__(self, arm: TimedArm, device: str = 'cpu') -> None:
        super().__init__()
        self.arm, self.device, self._inside = arm, device, False
        self._clear()

    def __call__(self, images: Sequence[np.ndarray]) -> list[DetDataSample]:
        self._clear()
        return self.arm(images)

    def __enter__(self) -> StageClock:
        for owner, name, stage in stage_methods(self.arm):
            self.enter_context(patch.object(owner, name, self._timed(owner, name, stage)))
        return self

    def _clear(self) -> None:
        self.times_ms: dict[str, float] = defaultdict(float)
        self.cpu_ms: dict[str, float] = defaultdict(float)
        self.proposals: list[int] = []

    def _timed(self, owner: object, name: str, stage: str) -> Callable:
        method = getattr(owner, name)

        def timed_method(*args: Any, **kwargs: Any) -> Any:
            if self._inside:  # called by another stage, which includes it
                return method(*args, **kwargs)
            self._inside = True
            try:
                wall_ms, cpu_ms, result = timed(partial(method, *args, **kwargs), self.device)
            finally:
                self._inside = False
            self.times_ms[stage] += wall_ms
            self.cpu_ms[stage] += cpu_ms
            if (name, stage) == ('predict_by_feat', 'rpn'):
                self.proposals += map(len, result)
            return result
        return timed_method


def stage_methods(arm: TimedArm) -> list[tuple[object, str, str]]:
    """Object, name and stage of each timed method."""
    model = arm.model
    preparing = [(arm.preprocessor, 'pipeline', 'preprocess'), (model.data_preprocessor, 'forward', 'preprocess')]
    # An engine that runs several stages as one call sets it on the instance.
    if 'detect' in vars(model):
        return [*preparing, (model, 'detect', 'network')]
    if 'extract_clip' in vars(model):
        parts = [(model, 'extract_clip', 'maps')]
    else:
        named = [(getattr(model, part, None), part) for part in ('backbone', 'neck')]
        parts = [(module, 'forward_clip' if hasattr(module, 'forward_clip') else 'forward', part)
                 for module, part in named if module is not None]
    heads = [(model, 'rpn_head', 'rpn'), (model, 'bbox_head', 'head')]
    heads = [(getattr(owner, name), stage) for owner, name, stage in heads if hasattr(owner, name)]
    methods = [(head, name, stage) for head, stage in heads for name in ('forward', 'predict_by_feat')]
    for part in getattr(model, 'roi_head', nn.Module()).children():
        methods += [(module, 'forward', 'roi') for module in (part if isinstance(part, nn.ModuleList) else [part])]
    return [*preparing, *parts, *methods]


@dataclass
class ArmSamples:
    """Times of an arm per call, ``cpu`` of all threads of the process; ``proposals`` and ``detections`` per frame."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    stages_ms: dict[str, list[float]] = field(default_factory=dict)
    stages_cpu_ms: dict[str, list[float]] = field(default_factory=dict)
    proposals: list[int] = field(default_factory=list)
    detections: list[int] = field(default_factory=list)

    def add_call(self, call: TimedCall) -> None:
        """Add a call's times and its number of detections per frame."""
        self.wall_ms.append(call.wall_ms)
        self.cpu_ms.append(call.cpu_ms)
        self.detections += [len(sample.pred_instances) for sample in call.result]

    def add_stages(self, call: TimedCall, clock: StageClock) -> None:
        """Add the stages of a clock's last call; the rest of the call is ``post``."""
        for samples, whole_ms, times_ms in ((self.stages_ms, call.wall_ms, clock.times_ms),
                                            (self.stages_cpu_ms, call.cpu_ms, clock.cpu_ms)):
            for stage, time_ms in {**times_ms, 'post': whole_ms - sum(times_ms.values())}.items():
                samples.setdefault(stage, []).append(time_ms)
        self.proposals += clock.proposals

    def summary(self, frames_per_call: int = 1) -> dict:
        """Percentiles, medians of CPU time and stages, ranges of box counts, and all samples, as in the JSON file."""
        medians = {stage: float(np.median(self.stages_ms[stage])) for stage in STAGES if stage in self.stages_ms}
        return {
            **percentiles(self.wall_ms, frames_per_call), 'processor_ms': float(np.median(self.cpu_ms)),
            'stages_ms': medians, 'proposals': [min(self.proposals), max(self.proposals)] if self.proposals else None,
            'detections': [min(self.detections), max(self.detections)],
            'samples': {'wall_ms': self.wall_ms, 'processor_ms': self.cpu_ms, 'stages_ms': self.stages_ms,
                        'stages_processor_ms': self.stages_cpu_ms}}


def compare_latency(arms: Mapping[str, TimedArm], batches: Callable[[], Iterator[list[np.ndarray]]], frames: int = 50,
                    warmup: int = 5, device: str = 'cpu') -> dict[str, ArmSamples]:
    """Time ``frames`` whole calls per arm, from images to detections, interleaved on the same frames.

    ``batches()`` iterates over the frames of all streams from the first one. On a CPU stages are timed in the same
    calls; on CUDA, where that would slow them, in a second pass over the same frames.
    """
    samples = {name: ArmSamples() for name in arms}
    on_cuda = device.startswith('cuda')
    if on_cuda:
        for call in interleaved(arms, batches(), frames, warmup, device):
            samples[call.name].add_call(call)
    with ExitStack() as stack:
        clocks = {name: stack.enter_context(StageClock(arm, device)) for name, arm in arms.items()}
        for call in interleaved(clocks, batches(), frames, warmup, device):
            samples[call.name].add_stages(call, clocks[call.name])
            if not on_cuda:
                samples[call.name].add_call(call)
    return samples


def latency_ratios(arm: ArmSamples, baseline: ArmSamples) -> dict[str, dict[str, float]]:
    """Ratios of medians: ``whole`` of calls, and ``backbone_neck`` of both stages together, or ``maps`` in its place.

    ``processor``, ``processor_backbone_neck`` and ``processor_maps`` are the same ratios of CPU time.
    """
    ratios = {'whole': ratio_of_medians(arm.wall_ms, baseline.wall_ms),
              'processor': ratio_of_medians(arm.cpu_ms, baseline.cpu_ms)}
    for key, stages in (('backbone_neck', ('backbone', 'neck')), ('maps', ('maps',))):
        for prefix, clocks in (('', (arm.stages_ms, baseline.stages_ms)),
                               ('processor_', (arm.stages_cpu_ms, baseline.stages_cpu_ms))):
            if all(stage in times for stage in stages for times in clocks):
                ratios[prefix + key] = ratio_of_medians(
                    *(np.sum([times[stage] for stage in stages], axis=0) for times in clocks))
    return ratios
