"""How long a call takes and its stages, beside other detectors in the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from tsm_det.benchmark.arms import Arm
from tsm_det.benchmark.distribution import percentiles, ratio_of_medians
from tsm_det.benchmark.interleaving import Call, interleaved
from tsm_det.benchmark.stages import STAGES, StageClock


@dataclass
class Samples:
    """What was taken of an arm, a number a call; ``proposals`` and ``detections`` a number a frame.

    ``processor_ms`` is the time that all threads of the process were at work, ``stages_processor_ms`` of the stages.
    """

    wall_ms: list[float] = field(default_factory=list)
    processor_ms: list[float] = field(default_factory=list)
    stages_ms: dict[str, list[float]] = field(default_factory=dict)
    stages_processor_ms: dict[str, list[float]] = field(default_factory=dict)
    proposals: list[int] = field(default_factory=list)
    detections: list[int] = field(default_factory=list)

    def add_stages(self, call: Call, clock: StageClock) -> None:
        """Take the stages of a clock's last call; what is left of the call is its ``post``."""
        for taken, whole_ms, times_ms in ((self.stages_ms, call.wall_ms, clock.times_ms),
                                          (self.stages_processor_ms, call.processor_ms, clock.processor_ms)):
            for stage, time_ms in {**times_ms, 'post': whole_ms - sum(times_ms.values())}.items():
                taken.setdefault(stage, []).append(time_ms)
        self.proposals += clock.proposals

    def summary(self, frames_a_call: int = 1) -> dict:
        """``percentiles``, medians of processor time and stages, the least and the most boxes, and all samples."""
        return {
            **percentiles(self.wall_ms, frames_a_call),
            'processor_ms': float(np.median(self.processor_ms)),
            'stages_ms': {stage: float(np.median(self.stages_ms[stage])) for stage in STAGES
                          if stage in self.stages_ms},
            'proposals': [min(self.proposals), max(self.proposals)],
            'detections': [min(self.detections), max(self.detections)],
            'samples': {'wall_ms': self.wall_ms, 'processor_ms': self.processor_ms, 'stages_ms': self.stages_ms,
                        'stages_processor_ms': self.stages_processor_ms}}


def compare_latency(arms: Mapping[str, Arm], batches: Callable[[], Iterator[list[np.ndarray]]], frames: int = 50,
                    warmup: int = 5, device: str = 'cpu') -> dict[str, Samples]:
    """Time detectors on the same frames, interleaved call by call, the order alternating.

    What is timed is a user's call: images in, detections out, pipeline and state included. On the processor the stages
    are taken in the same calls. On CUDA, where telling stages apart means waiting for the device between them, calls
    are timed in a first pass and stages in a second one over the same frames.

    Args:
        arms: by name.
        batches: starts the frames of all streams from the beginning.
        frames: timed calls an arm.
        warmup: calls before that, not counted.
        device: of the arms.
    """
    samples = {name: Samples() for name in arms}
    if device.startswith('cuda'):
        for call in interleaved(arms, batches(), frames, warmup, device):
            _add_call(samples, call)
    with ExitStack() as stack:
        clocks = {name: stack.enter_context(StageClock(arm, device)) for name, arm in arms.items()}
        for call in interleaved(clocks, batches(), frames, warmup, device):
            samples[call.name].add_stages(call, clocks[call.name])
            if not device.startswith('cuda'):
                _add_call(samples, call)
    return samples


def latency_ratios(samples: Mapping[str, Samples], name: str, baseline: str) -> dict[str, dict[str, float]]:
    """Ratios of medians of two arms, each with its interval.

    Returns:
        ``whole`` of calls and ``backbone_neck`` of these two stages together, or ``maps`` in its place where an engine
        makes one call of the convolutions; ``processor`` and ``processor_backbone_neck`` or ``processor_maps`` of
        processor time.
    """
    arm, other = samples[name], samples[baseline]
    ratios = {'whole': ratio_of_medians(arm.wall_ms, other.wall_ms),
              'processor': ratio_of_medians(arm.processor_ms, other.processor_ms)}
    for key, stages in (('backbone_neck', ('backbone', 'neck')), ('maps', ('maps',))):
        for prefix, clock in (('', 'stages_ms'), ('processor_', 'stages_processor_ms')):
            taken = [getattr(one, clock) for one in (arm, other)]
            if all(stage in of_arm for stage in stages for of_arm in taken):
                ratios[prefix + key] = ratio_of_medians(*(
                    np.sum([of_arm[stage] for stage in stages], axis=0) for of_arm in taken))
    return ratios


def _add_call(samples: Mapping[str, Samples], call: Call) -> None:
    of_arm = samples[call.name]
    of_arm.wall_ms.append(call.wall_ms)
    of_arm.processor_ms.append(call.processor_ms)
    of_arm.detections += [len(sample.pred_instances) for sample in call.result]
