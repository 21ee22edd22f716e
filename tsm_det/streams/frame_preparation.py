"""How frames in memory become a detector's input: the test pipeline of a config, and what it accepts."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Sequence

import cv2
import numpy as np
from mmdet.models import BaseDetector
from mmdet.registry import TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose

from tsm_det.config import dataset_config, load_config, override
from tsm_det.config_errors import config_errors
from tsm_det.datasets.degrade import Degradation
from tsm_det.engines import with_engine
from tsm_det.errors import InputError
from tsm_det.models.loading import build_detector


def model_and_pipeline(config: str | Config, checkpoint: str | None = None, device: str = 'cpu', engine: str = 'eager',
                       cfg_options: dict | None = None, trust_checkpoint: bool = False) -> tuple[BaseDetector, Compose]:
    """Build a detector in eval mode and the test pipeline of its frames: see :meth:`OnlineDetector.from_config`."""
    config = config_of(config, cfg_options)
    model: BaseDetector = with_engine(build_detector(config, checkpoint, device, trust_checkpoint), engine, config)
    with config_errors(config):
        pipeline = dataset_config(config).pipeline
        steps = image_pipeline(pipeline)
        model.dataset_meta['value_range'] = _frame_transforms(pipeline)[1][0].get('value_range')
        return model, Compose(steps)


def config_of(config: str | Config, cfg_options: dict | None = None) -> Config:
    """Read a config, or copy it, and set the dotted keys of the options."""
    config = copy.deepcopy(config) if isinstance(config, Config) else load_config(config)
    override(config, cfg_options or {})
    return config


def image_pipeline(pipeline: Sequence[dict]) -> list[dict]:
    """A test pipeline over clips that takes images in memory, without annotations and degradations.

    Raises InputError when the pipeline has no TransformBroadcaster that starts with a loader.
    """
    steps = [dict(step) for step in pipeline]
    broadcaster, transforms = _frame_transforms(steps)
    broadcaster['transforms'] = [
        {'type': 'mmdet.LoadImageFromNDArray'},
        *(transform for transform in transforms[1:] if 'Annotations' not in transform['type'])]
    return steps


def _frame_transforms(pipeline: Sequence[dict]) -> tuple[dict, list[dict]]:
    """The broadcaster of a pipeline, and its transforms from the loader on, without degradations."""
    broadcaster = next((step for step in pipeline if step['type'].endswith('TransformBroadcaster')), {'transforms': ()})
    transforms = [transform for transform in broadcaster['transforms']
                  if not issubclass(TRANSFORMS.get(transform['type']) or object, Degradation)]
    if not transforms or 'Load' not in transforms[0]['type']:
        raise InputError('the test pipeline needs a TransformBroadcaster that starts with a loader: '
                         'take the pipeline of configs/_base_/')
    return broadcaster, transforms


def prepare_image(pipeline: Compose, image: np.ndarray, stream_id: Hashable = None, frame_id: int = 0) -> dict:
    """Run a pipeline of :func:`image_pipeline` on a frame; raise InputError when it is too narrow to resize."""
    try:
        return pipeline({'img': [image], 'img_id': [frame_id], 'frame_id': [frame_id],
                         'video_id': [stream_id], 'video_length': [1], 'ori_video_length': [1]})
    except cv2.error as error:
        raise InputError('the image is {}x{} px, which the pipeline cannot resize: give a less narrow one'.format(
            *image.shape[:2])) from error


def check_image(image: np.ndarray) -> None:
    """Raise ValueError unless an image is ``(H, W, 3)`` uint8."""
    if not isinstance(image, np.ndarray):
        raise ValueError(f'the image is {type(image).__name__} but must be an array (H, W, 3) uint8, BGR: '
                         'convert it, for example by numpy.asarray')
    if image.dtype != np.uint8:
        fix = 'scale it, for example (image // 257).astype(numpy.uint8) for 16 bits'
    elif image.ndim == 2 or image.shape[2:] == (1,):
        fix = 'convert it by cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)'
    elif image.shape[2:] == (4,):
        fix = 'convert it by cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)'
    elif image.shape[2:] != (3,) or not image.size:
        fix = 'give one image with pixels in it'
    else:
        return
    raise ValueError(f'the image is {image.dtype} {image.shape} but must be (H, W, 3) uint8, BGR: {fix}')
