"""The same work for all arms: the same frames, as many proposals, as many detections."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from itertools import cycle
from typing import NamedTuple

import numpy as np
from mmengine.config import Config

from tsm_det.config import dataset_config
from tsm_det.errors import InputError
from tsm_det.video.sources import open_source

# Random frames are as different from each other as frames can be: a few of them are enough.
_RANDOM_FRAMES = 8


class Workload(NamedTuple):
    """What is fixed for each frame: most proposals, most detections, and the score that these exceed."""

    proposals: int
    detections: int
    score_thr: float

    def fix(self, config: Config) -> Config:
        """The config with these limits in ``test_cfg``; of each level at least as many boxes go into the RPN's NMS.

        Raises:
            InputError: it is not of a two-stage detector.
        """
        config = copy.deepcopy(config)
        test_cfg = config.model.get('test_cfg') or {}
        if not {'rpn', 'rcnn'} <= test_cfg.keys():
            raise InputError(f'{config.filename} has no rpn and rcnn in model.test_cfg, where proposals and detections '
                             'are limited: take the config of a two-stage detector, for example one of configs/')
        rpn, rcnn = test_cfg.rpn, test_cfg.rcnn
        rpn.max_per_img, rpn.nms_pre = self.proposals, max(self.proposals, rpn.nms_pre)
        rcnn.max_per_img, rcnn.score_thr = self.detections, self.score_thr
        return config


def frames_of(source: str | None, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Frames ``(H, W, 3)`` BGR uint8 without end: a source's, from its beginning again where it ends, or random ones.

    Args:
        source: None for random frames of ``size``, the same ones each time.
        size: (H, W).

    Raises:
        InputError: the source cannot be opened or read, or gives no frame.
    """
    if source is None:
        yield from cycle(np.random.default_rng(0).integers(0, 256, (_RANDOM_FRAMES, *size, 3), dtype=np.uint8))
    opened = open_source(source)
    while True:
        frame = None
        for frame in opened.frames():
            if frame is not None:
                yield frame.image
        if frame is None:
            raise InputError(f'{source} gives no frame but at least one is needed: check the file')


def batches_of(frames: Iterator[np.ndarray], streams: int) -> Iterator[list[np.ndarray]]:
    """One frame of each stream a batch: all streams see the same video, each one frame later than the one before."""
    window = deque(maxlen=streams)
    for frame in frames:
        window.append(frame)
        if len(window) == streams:
            yield list(window)


def source_size(config: Config) -> tuple[int, int]:
    """(H, W) of frames that the test pipeline would leave as they are: the scale it resizes to, else 256x320."""
    for step in dataset_config(config).pipeline:
        for transform in step.get('transforms', ()):
            if transform['type'].endswith('Resize'):
                width, height = transform['scale']
                return height, width
    return 256, 320
