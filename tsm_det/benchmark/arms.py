"""The arms of a comparison: a detector as its user calls it, frames in, detections out."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from inspect import signature
from typing import NamedTuple, Protocol

import numpy as np
import torch
from mmdet.apis import inference_detector
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose
from torch import nn

from tsm_det.config import dataset_config
from tsm_det.malloc import default_memory
from tsm_det.models.loading import build_detector
from tsm_det.streams.online_detector import OnlineDetector, image_pipeline


class Arm(Protocol):
    """What is timed: ``arm(images)`` detects in one frame of each stream.

    ``model`` is the network; ``prepares`` the object whose ``pipeline`` makes its input of an image.
    """

    model: nn.Module
    prepares: object

    def __call__(self, images: Sequence[np.ndarray]) -> list[DetDataSample]:
        """Detections in the next frame ``(H, W, 3)`` BGR uint8 of each stream."""

    def forget(self) -> None:
        """Start all streams afresh."""

    def state_bytes(self) -> int:
        """What is remembered of all streams."""


class ArmPlan(NamedTuple):
    """How an arm is built, here or in another process.

    Args:
        name: of the arm.
        config: of the detector.
        checkpoint: None is random weights, the same for all arms.
        device: e.g. 'cpu' or 'cuda:0'.
        engine: None for mmdet's own detector and per-frame path in place of this project's.
        streams: most frames of a call.
    """

    name: str
    config: Config
    checkpoint: str | None = None
    device: str = 'cpu'
    engine: str | None = 'eager'
    streams: int = 1

    def build(self) -> Arm:
        """The arm.

        Raises:
            InputError: the checkpoint does not fit, or there is no such engine.
        """
        torch.manual_seed(0)
        return MMDetArm(self) if self.engine is None else OnlineArm(self)


class OnlineArm:
    """This project's detector, which keeps a state a stream."""

    def __init__(self, plan: ArmPlan) -> None:
        self.prepares = self.detector = OnlineDetector.from_config(
            plan.config, plan.checkpoint, plan.device, capacity=plan.streams, engine=plan.engine)
        self.model = self.detector.model

    def __call__(self, images: Sequence[np.ndarray]) -> list[DetDataSample]:
        return self.detector.detect_batch(images, range(len(images)))

    def forget(self) -> None:
        self.detector.reset()

    def state_bytes(self) -> int:
        return self.detector.bank.state_bytes()


class MMDetArm:
    """mmdet's detector without this project's classes, by ``mmdet.apis.inference_detector``: image after image.

    Memory that this project's engines have the process keep is not kept in its calls, as it is not for mmdet's users.
    """

    def __init__(self, plan: ArmPlan) -> None:
        config = mmdet_config(plan.config)
        self.prepares = self
        self.model = build_detector(config, plan.checkpoint, plan.device)
        self.model.cfg = config  # where inference_detector looks
        self.pipeline = Compose(dataset_config(config).pipeline)

    def __call__(self, images: Sequence[np.ndarray]) -> list[DetDataSample]:
        with default_memory():
            return inference_detector(self.model, list(images), self.pipeline)

    def forget(self) -> None:
        """Nothing is remembered."""

    def state_bytes(self) -> int:
        return 0


def mmdet_config(config: Config) -> Config:
    """The same detector of mmdet's own classes, with an image pipeline that resizes as the video pipeline does."""
    config = copy.deepcopy(config)
    for part in (config.model, config.model.backbone, config.model.neck):
        cls = MODELS.get(part.type)
        _become(part, cls, next(base for base in cls.__mro__ if base.__module__.startswith('mmdet.')))
    preprocessor = config.model.data_preprocessor
    _become(preprocessor, MODELS.get(preprocessor.type), MODELS.get('DetDataPreprocessor'))
    broadcaster = next(step for step in image_pipeline(dataset_config(config).pipeline) if 'transforms' in step)
    config.test_dataloader.dataset.pipeline = [*broadcaster['transforms'], {'type': 'mmdet.PackDetInputs'}]
    return config


def _become(part: ConfigDict, cls: type, parent: type) -> None:
    """Name the parent class in a config, and leave out the keys that only the subclass or what it inherits has."""
    for own in (base for base in cls.__mro__ if base not in parent.__mro__):
        for key in signature(own.__init__).parameters.keys() - signature(parent.__init__).parameters.keys():
            part.pop(key, None)
    part.type = parent.__name__
