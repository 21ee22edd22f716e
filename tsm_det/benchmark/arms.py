"""Arms of a benchmark: detectors called as a user calls them.

An arm detects in the next frame ``(H, W, 3)`` BGR uint8 of each stream, until ``reset``. ``model`` is its network,
``preprocessor`` the object with its ``pipeline``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from inspect import signature
from typing import NamedTuple

import numpy as np
import torch
from mmdet.apis import inference_detector
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.dataset import Compose

from tsm_det.config import dataset_config
from tsm_det.malloc import default_memory
from tsm_det.models.loading import build_detector
from tsm_det.streams.frame_preparation import image_pipeline
from tsm_det.streams.online_detector import OnlineDetector


class ArmPlan(NamedTuple):
    """How to build an arm, here or in another process.

    Without a checkpoint all arms have the same random weights. An engine of None is mmdet's own detector. ``streams``
    is the largest number of frames per call.
    """

    name: str
    config: Config
    checkpoint: str | None = None
    device: str = 'cpu'
    engine: str | None = 'eager'
    streams: int = 1
    trust_checkpoint: bool = False

    def build(self) -> TimedArm:
        """Build the arm; raise InputError when the checkpoint does not fit or the engine is unknown."""
        torch.manual_seed(0)
        return MMDetArm(self) if self.engine is None else OnlineArm(self)


class OnlineArm:
    """This project's detector, with one state per stream."""

    def __init__(self, plan: ArmPlan) -> None:
        self.preprocessor = self.detector = OnlineDetector.from_config(
            plan.config, plan.checkpoint, plan.device, capacity=plan.streams, engine=plan.engine,
            trust_checkpoint=plan.trust_checkpoint)
        self.model = self.detector.model

    def __call__(self, images: Sequence[np.ndarray]) -> list[DetDataSample]:
        return self.detector.detect_batch(images, range(len(images)))

    def state_bytes(self) -> int:
        return self.detector.bank.state_bytes()


class MMDetArm:
    """mmdet's own detector, called image by image through ``mmdet.apis.inference_detector``.

    Its calls run with glibc's default malloc settings, as they do for mmdet's users.
    """

    def __init__(self, plan: ArmPlan) -> None:
        config = mmdet_config(plan.config)
        self.preprocessor = self
        self.model = build_detector(config, plan.checkpoint, plan.device, plan.trust_checkpoint)
        self.model.cfg = config  # inference_detector reads it
        self.pipeline = Compose(dataset_config(config).pipeline)

    def __call__(self, images: Sequence[np.ndarray]) -> list[DetDataSample]:
        with default_memory():
            return inference_detector(self.model, list(images), self.pipeline)

    def state_bytes(self) -> int:
        return 0


TimedArm = OnlineArm | MMDetArm


def mmdet_config(config: Config) -> Config:
    """Copy a config with mmdet's own classes, and an image pipeline that resizes as the video pipeline does."""
    config = with_mmdets_roi_align(config)
    for part in filter(None, (config.model, *map(config.model.get, ('backbone', 'neck', 'roi_head')))):
        _replace_type(part, next(base for base in MODELS.get(part.type).__mro__
                                 if base.__module__.startswith('mmdet.')))
    _replace_type(config.model.data_preprocessor, MODELS.get('DetDataPreprocessor'))
    broadcaster = next(step for step in image_pipeline(dataset_config(config).pipeline) if 'transforms' in step)
    config.test_dataloader.dataset.pipeline = [*broadcaster['transforms'], {'type': 'mmdet.PackDetInputs'}]
    return config


def with_mmdets_roi_align(config: Config) -> Config:
    """Copy a config with mmdet's SingleRoIExtractor in place of SeparableRoIExtractor."""
    config = copy.deepcopy(config)
    extractor = config.model.get('roi_head', {}).get('bbox_roi_extractor', {})
    if extractor.get('type') == 'SeparableRoIExtractor':
        extractor.type = 'SingleRoIExtractor'
    return config


def _replace_type(part: ConfigDict, parent: type) -> None:
    """Set a config's type to the parent class and drop the keys that the parent does not take."""
    for own in (base for base in MODELS.get(part.type).__mro__ if base not in parent.__mro__):
        for key in signature(own.__init__).parameters.keys() - signature(parent.__init__).parameters.keys():
            part.pop(key, None)
    part.type = parent.__name__
