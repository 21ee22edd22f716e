"""The detector for recordings: a video in, detections out, which see past and future frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np
import torch
from mmdet.models import BaseDetector
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from tsm_det.streams.frame_preparation import check_image, model_and_pipeline, prepare_image
from tsm_det.windows import windows


class OfflineDetector:
    """Detects objects in whole videos, window by window, with the same detections as in one pass.

    Args:
        model: a temporal detector in eval mode, made for ``direction='both'``; its ``window`` bounds the memory.
        pipeline: turns ``{'img': [image], ...}`` into ``inputs`` ``(1, C, H, W)`` and ``data_samples``.
    """

    def __init__(self, model: BaseDetector, pipeline: Compose) -> None:
        self.model, self.pipeline = model, pipeline

    @classmethod
    def from_config(cls, config: str | Config, checkpoint: str | None = None, device: str = 'cpu',
                    engine: str = 'eager', cfg_options: dict | None = None,
                    trust_checkpoint: bool = False) -> OfflineDetector:
        """Build a detector; arguments as for :meth:`OnlineDetector.from_config`."""
        return cls(*model_and_pipeline(config, checkpoint, device, engine, cfg_options, trust_checkpoint))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.model.dataset_meta['classes']

    def __call__(self, video: Iterable[np.ndarray]) -> Iterator[DetDataSample]:
        """Detect in the frames of a video, which is read as far ahead as a window needs.

        Args:
            video: ``(H, W, 3)`` BGR uint8; where the size changes, the video starts over.

        Yields:
            One sample per frame, in order: ``pred_instances`` as of :meth:`OnlineDetector.detect_batch`;
            ``metainfo['reset']`` is 'new' for the first frame, 'size' for the first of another size, else None.

        Raises:
            ValueError: an image is not (H, W, 3) uint8 or too narrow to resize.
        """
        reset: str | None = 'new'
        for _, part in groupby(map(self._prepare, video), lambda data: data['data_samples'][0].ori_shape):
            for window, keep in windows(part, self.model.window, self.model.margin):
                for sample in self._detect(window, keep):
                    sample.set_metainfo({'reset': reset})
                    yield sample
                    reset = None
            reset = 'size'

    def _prepare(self, image: np.ndarray) -> dict:
        check_image(image)
        return prepare_image(self.pipeline, image)

    @torch.no_grad()
    def _detect(self, window: list[dict], keep: slice) -> list[DetDataSample]:
        data = self.model.data_preprocessor(pseudo_collate(window), training=False)
        return self.model.detect(data['inputs'].transpose(0, 1), data['data_samples'], keep=keep)[0]
