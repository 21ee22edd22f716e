"""How long a training step takes, beside the 2D baseline's."""

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

from tsm_det.benchmark.arms import ArmPlan
from tsm_det.benchmark.distribution import percentiles, ratio_of_medians
from tsm_det.benchmark.interleaving import interleaved
from tsm_det.config import dataset_config
from tsm_det.errors import InputError
from tsm_det.malloc import keep_freed_memory
from tsm_det.models.loading import build_detector
from tsm_det.streams.online_detector import image_pipeline

_BOXES = 4


class TrainingArm:
    """A detector in training: ``arm(clip)`` is one step of its config's optimizer through the model's ``train_step``,
    and gives its loss.

    The learning rate is 0: all of a step is computed, and every step of every arm starts from the same weights.
    """

    def __init__(self, plan: ArmPlan) -> None:
        if plan.device == 'cpu':  # as tools/train.py does
            keep_freed_memory()
        torch.manual_seed(0)
        self.model = build_detector(plan.config, plan.checkpoint, plan.device).train()
        wrapper = copy.deepcopy(plan.config.optim_wrapper)
        wrapper.optimizer.lr = 0.0
        self.optim_wrapper = build_optim_wrapper(self.model, wrapper)

    def __call__(self, clip: dict[str, Any]) -> torch.Tensor:
        torch.manual_seed(0)  # the RoIs that are drawn
        return self.model.train_step(clip, self.optim_wrapper)['loss'].detach()


def compare_training(plans: Sequence[ArmPlan], frames: Iterator[np.ndarray], steps: int, warmup: int = 1,
                     clip_length: int = 8) -> dict:
    """Time training steps of one clip, interleaved: losses, backward and optimizer, as a runner calls them.

    Args:
        plans: of two arms, the baseline second; engines are for detection and play no part.
        frames: ``(H, W, 3)`` BGR uint8, resized as for a test; their true boxes are random.
        steps: timed for each arm.
        warmup: steps before that, not counted.
        clip_length: frames a step.

    Returns:
        ``steps``, ``clip_length``, ``arms`` (percentiles in ms a step, frames per second, ``processor_ms`` the median
        of processor time), and ``ratio`` and ``ratio_processor`` of the first arm to the second.

    Raises:
        InputError: a loss is not finite.
    """
    arms = {plan.name: TrainingArm(plan) for plan in plans}
    times = {name: {'wall': [], 'processor': []} for name in arms}
    for call in interleaved(arms, clips_of(plans[0], frames, clip_length), steps, warmup, plans[0].device, 'steps'):
        if not call.result.isfinite():
            raise InputError(f'the loss of {call.name} is not finite, so its steps are not those of a training: give '
                             'a checkpoint')
        times[call.name]['wall'].append(call.wall_ms)
        times[call.name]['processor'].append(call.processor_ms)
    arm, baseline = times.values()
    return {
        'steps': steps, 'clip_length': clip_length,
        'arms': [{'name': name, **percentiles(of_arm['wall'], clip_length),
                  'processor_ms': float(np.median(of_arm['processor'])),
                  'samples': {f'{clock}_ms': taken for clock, taken in of_arm.items()}}
                 for name, of_arm in times.items()],
        'ratio': ratio_of_medians(arm['wall'], baseline['wall']),
        'ratio_processor': ratio_of_medians(arm['processor'], baseline['processor'])}


def clips_of(plan: ArmPlan, frames: Iterator[np.ndarray], clip_length: int) -> Iterator[dict[str, Any]]:
    """Batches of one clip of consecutive frames, as the plan's test pipeline resizes them, with random true boxes."""
    pipeline = Compose(image_pipeline(dataset_config(plan.config).pipeline))
    num_classes = plan.config.model.roi_head.bbox_head.num_classes
    rng = np.random.default_rng(0)
    while clip := list(islice(frames, clip_length)):
        same = {key: [0] * len(clip) for key in ('img_id', 'video_id')}
        data = pipeline({'img': clip, 'frame_id': list(range(len(clip))), 'video_length': [len(clip)] * len(clip),
                         'ori_video_length': [len(clip)] * len(clip), **same})
        for frame in data['data_samples']:
            frame.gt_instances = _random_boxes(rng, frame.img_shape, num_classes)
            frame.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4))
        yield pseudo_collate([data])


def _random_boxes(rng: np.random.Generator, shape: tuple[int, int], num_classes: int) -> InstanceData:
    """Boxes an eighth to a half of the frame ``(H, W)`` wide and high."""
    sides = np.array([shape[1], shape[0]])
    extents = sides * rng.uniform(1 / 8, 1 / 2, (_BOXES, 2))
    corners = (sides - extents) * rng.uniform(size=(_BOXES, 2))
    return InstanceData(
        bboxes=torch.from_numpy(np.hstack([corners, corners + extents])).float(),
        labels=torch.from_numpy(rng.integers(0, num_classes, _BOXES)), instances_ids=torch.arange(_BOXES))
