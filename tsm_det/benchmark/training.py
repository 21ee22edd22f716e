"""Time training steps of a detector and its 2D baseline."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData

from tsm_det.benchmark.arms import ArmPlan, with_mmdets_roi_align
from tsm_det.benchmark.timing import interleaved, percentiles, ratio_of_medians
from tsm_det.config import dataset_config
from tsm_det.errors import InputError
from tsm_det.malloc import keep_freed_memory
from tsm_det.mixed_precision import cpu_optim_wrapper, has_bfloat16_units
from tsm_det.models.loading import build_detector, num_classes_of
from tsm_det.streams.frame_preparation import image_pipeline

_BOXES = 4  # per frame


class TrainingStepArm:
    """A detector in training: ``arm(clip)`` runs the model's ``train_step`` with the config's optimizer.

    The learning rate is 0: every step computes everything and starts from the same weights.
    """

    def __init__(self, plan: ArmPlan) -> None:
        wrapper = copy.deepcopy(plan.config.optim_wrapper)
        if plan.device == 'cpu':  # as tools/train.py does
            keep_freed_memory()
            wrapper = cpu_optim_wrapper(wrapper)
        torch.manual_seed(0)
        self.model = build_detector(plan.config, plan.checkpoint, plan.device, plan.trust_checkpoint).train()
        wrapper['optimizer']['lr'] = 0.0
        self.optim_wrapper = build_optim_wrapper(self.model, wrapper)

    def __call__(self, clip: dict[str, Any]) -> torch.Tensor:
        """The loss of one step."""
        torch.manual_seed(0)  # RoIs are sampled at random
        return self.model.train_step(clip, self.optim_wrapper)['loss'].detach()


def compare_training(plans: Sequence[ArmPlan], frames: Iterator[np.ndarray], steps: int, warmup: int = 1,
                     clip_length: int = 8) -> dict:
    """Time ``steps`` training steps per arm, interleaved, on clips of ``clip_length`` frames with random ground truth.

    The second plan is the baseline, further ones are other ways to train the first; engines are ignored. Frames
    ``(H, W, 3)`` BGR uint8 are resized as in testing. Returns the part ``training`` of the JSON file, with percentiles
    in ms per step, and ratios of the first plan to each other one. Raises InputError when a loss is not finite.
    """
    arms = {plan.name: TrainingStepArm(plan) for plan in plans}
    samples = {name: {'wall_ms': [], 'processor_ms': []} for name in arms}
    for call in interleaved(arms, clips_of(plans[0], frames, clip_length), steps, warmup, plans[0].device, 'steps'):
        if not call.result.isfinite():
            raise InputError(f'the loss of {call.name} is not finite, unlike in a real training: give a checkpoint')
        samples[call.name]['wall_ms'].append(call.wall_ms)
        samples[call.name]['processor_ms'].append(call.cpu_ms)
    arm, *others = samples
    ratios = {clock: {name: ratio_of_medians(samples[arm][clock], samples[name][clock]) for name in others}
              for clock in ('wall_ms', 'processor_ms')}
    return {
        'steps': steps, 'clip_length': clip_length,
        'arms': [{'name': name, **percentiles(times['wall_ms'], clip_length),
                  'processor_ms': float(np.median(times['processor_ms'])), 'samples': times}
                 for name, times in samples.items()],
        'ratio': ratios['wall_ms'][others[0]], 'ratio_processor': ratios['processor_ms'][others[0]],
        'ratios': ratios['wall_ms'], 'ratios_processor': ratios['processor_ms']}


def training_plans(arm: ArmPlan, baseline: ArmPlan) -> list[ArmPlan]:
    """Return the two, and the first in mixed precision, and without SeparableRoIExtractor and fused optimizer.

    Skips an arm equal to the first, and mixed precision on a CPU without units for it.
    """
    plain, amp = with_mmdets_roi_align(arm.config), copy.deepcopy(arm.config)
    plain.optim_wrapper.optimizer.pop('fused', None)
    if arm.device != 'cpu' or has_bfloat16_units(torch.device('cpu')):
        amp.optim_wrapper.type = 'AmpOptimWrapper'
    others = {f'{arm.name} plain': plain, f'{arm.name} amp': amp}
    return [arm, baseline, *(arm._replace(name=name, config=config) for name, config in others.items()
                             if config.pretty_text != arm.config.pretty_text)]


def clips_of(plan: ArmPlan, frames: Iterator[np.ndarray], clip_length: int) -> Iterator[dict[str, Any]]:
    """Yield batches of one clip of consecutive frames with random boxes, resized by the plan's test pipeline."""
    pipeline = Compose(image_pipeline(dataset_config(plan.config).pipeline))
    num_classes = num_classes_of(plan.config.model)
    rng = np.random.default_rng(0)
    while clip := list(islice(frames, clip_length)):
        constants = {'img_id': 0, 'video_id': 0, 'video_length': len(clip), 'ori_video_length': len(clip)}
        data = pipeline({'img': clip, 'frame_id': list(range(len(clip))),
                         **{key: [value] * len(clip) for key, value in constants.items()}})
        for frame in data['data_samples']:
            frame.gt_instances = _random_boxes(rng, frame.img_shape, num_classes)
            frame.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4))
        yield pseudo_collate([data])


def _random_boxes(rng: np.random.Generator, shape: tuple[int, int], num_classes: int) -> InstanceData:
    """Draw boxes with sides of 1/8 to 1/2 of the frame ``(H, W)``."""
    sides = np.array([shape[1], shape[0]])
    extents = sides * rng.uniform(1 / 8, 1 / 2, (_BOXES, 2))
    corners = (sides - extents) * rng.uniform(size=(_BOXES, 2))
    return InstanceData(
        bboxes=torch.from_numpy(np.hstack([corners, corners + extents])).float(),
        labels=torch.from_numpy(rng.integers(0, num_classes, _BOXES)), instances_ids=torch.arange(_BOXES))
