"""How much of a call each stage of a detector takes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample

from tsm_det.benchmark.arms import Arm

# 'maps' stands for backbone, neck and the RPN's convolutions where an engine makes one call of them.
STAGES = ('preprocess', 'backbone', 'neck', 'maps', 'rpn', 'roi', 'post')
_MISSING = object()


class StageClock:
    """An arm whose calls tell how long each stage took: ``with StageClock(arm, device) as clock: clock(images)``.

    While the block lasts, the methods that are the stages are replaced on the arm's own objects. On CUDA the device is
    waited for at the borders of stages, which makes the whole call slower: its time is to be taken without a clock.

    ``preprocess`` is the pipeline and the data preprocessor, ``rpn`` the head's convolutions and its choice of
    proposals, ``roi`` the RoI features and the box head; ``post``, the rest of a call, is for the caller to subtract.

    After a call, ``times_ms`` has the stages that were seen, ``processor_ms`` the time that all threads were at work in
    them, and ``proposals`` the number for each frame.
    """

    def __init__(self, arm: Arm, device: str = 'cpu') -> None:
        self.arm = arm
        self.device = device
        self._start()
        self._inside = False
        self._replaced: list[tuple[object, str, object]] = []

    def __call__(self, images: Sequence[np.ndarray]) -> list[DetDataSample]:
        self._start()
        return self.arm(images)

    def __enter__(self) -> StageClock:
        for owner, name, stage in _stage_methods(self.arm):
            self._replace(owner, name, lambda method, stage=stage: self._timed(method, stage))
        self._replace(self.arm.model.rpn_head, 'predict_by_feat', self._counted)
        return self

    def __exit__(self, *_: object) -> None:
        while self._replaced:
            owner, name, was = self._replaced.pop()
            if was is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, was)

    def _start(self) -> None:
        self.times_ms: dict[str, float] = defaultdict(float)
        self.processor_ms: dict[str, float] = defaultdict(float)
        self.proposals: list[int] = []

    def _replace(self, owner: object, name: str, wrap: Callable[[Callable], Callable]) -> None:
        self._replaced.append((owner, name, vars(owner).get(name, _MISSING)))
        setattr(owner, name, wrap(getattr(owner, name)))

    def _timed(self, method: Callable, stage: str) -> Callable:
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._inside:  # a stage that another one calls is part of it
                return method(*args, **kwargs)
            self._inside = True
            try:
                synchronize(self.device)
                wall, processor = time.perf_counter(), time.process_time()
                result = method(*args, **kwargs)
                synchronize(self.device)
                self.times_ms[stage] += (time.perf_counter() - wall) * 1e3
                self.processor_ms[stage] += (time.process_time() - processor) * 1e3
                return result
            finally:
                self._inside = False
        return timed

    def _counted(self, method: Callable) -> Callable:
        @wraps(method)
        def counted(*args: Any, **kwargs: Any) -> list:
            proposals = method(*args, **kwargs)
            self.proposals += map(len, proposals)
            return proposals
        return counted


def synchronize(device: str) -> None:
    """Wait until a CUDA device has done what it was given; a processor has."""
    if device.startswith('cuda'):
        torch.cuda.synchronize(device)


def _stage_methods(arm: Arm) -> list[tuple[object, str, str]]:
    """The objects, the names of their methods, and the stages these are."""
    model = arm.model
    forward = 'forward_clip' if hasattr(model.backbone, 'forward_clip') else 'forward'
    # An engine that makes one call of the convolutions puts it on the instance.
    convolutions = [(model, 'extract_maps', 'maps')] if 'extract_maps' in vars(model) else [
        (model.backbone, forward, 'backbone'), (model.neck, forward, 'neck'), (model.rpn_head, 'forward', 'rpn')]
    return [
        (arm.prepares, 'pipeline', 'preprocess'), (model.data_preprocessor, 'forward', 'preprocess'), *convolutions,
        (model.rpn_head, 'predict_by_feat', 'rpn'), (model.roi_head.bbox_roi_extractor, 'forward', 'roi'),
        (model.roi_head.bbox_head, 'forward', 'roi')]
