"""A detector out of a config and a checkpoint."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import shorten

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader, load_checkpoint

from tsm_det.config import dataset_config
from tsm_det.errors import InputError


def build_detector(config: Config, checkpoint: str | None = None, device: str = 'cpu') -> torch.nn.Module:
    """Build the config's detector for inference, with the checkpoint's weights and class names.

    Args:
        config: whose ``model`` is built; nothing is downloaded (``init_cfg`` is not used).
        checkpoint: path, or None for random weights, which is said in the log.
        device: e.g. 'cpu' or 'cuda:0'.

    Returns:
        The detector in eval mode; ``dataset_meta['classes']`` names its labels.

    Raises:
        InputError: the device is not there, the checkpoint is missing, or it is not of this network.
    """
    check_device(device)
    init_default_scope(config.get('default_scope', 'mmdet'))
    model = MODELS.build(config.model)
    if checkpoint is None:
        print_log('random weights: no checkpoint was given, so detections mean nothing', 'current', level=30)
        content = {}
    else:
        content = load_weights(model, checkpoint)
    meta = content.get('meta', {}).get('dataset_meta') or dataset_config(config).get('metainfo') or {}
    classes = meta.get('classes') or [f'class {label}' for label in range(model.roi_head.bbox_head.num_classes)]
    model.dataset_meta = {'classes': tuple(classes)}
    return model.to(device).eval()


def check_device(device: str) -> None:
    """Raise InputError when a tensor cannot be put on a device and taken back."""
    try:
        torch.zeros(1, device=device).tolist()
    # Each kind of device that this torch was not built for has an exception of its own.
    except (RuntimeError, AssertionError, ImportError) as error:
        known = ', '.join(['cpu', *(f'cuda:{index}' for index in range(torch.cuda.device_count()))])
        reason = shorten(str(error), 80, placeholder='...')
        raise InputError(f'the device is {device!r} but torch {torch.__version__} finds {known} here ({reason}): '
                         'choose one of these, or install a torch for the other') from error


def check_checkpoint(path: str) -> None:
    """Raise InputError when a checkpoint, unless it is a URL, is missing."""
    if not re.match(r'\w+://', path) and not Path(path).is_file():
        raise InputError(f'the checkpoint {path} is missing: give the path of one that is there, or have it made first')


def check_readable(checkpoint: str) -> None:
    """Raise InputError when a checkpoint is missing, or its file is none."""
    check_checkpoint(checkpoint)
    try:
        CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
    except Exception as error:  # bytes that are no checkpoint may mean anything to a pickle: KeyError, MemoryError...
        raise InputError(_refusal(checkpoint, 'cannot be read', error)) from error


def load_weights(model: torch.nn.Module, checkpoint: str) -> dict:
    """Load a checkpoint file into a detector, all keys of it and no others.

    mmengine reads it with ``weights_only=True`` and says so where a file does not allow that.

    Returns:
        The content of the file.

    Raises:
        InputError: the file is missing, is no checkpoint, or is not of this network.
    """
    check_checkpoint(checkpoint)
    try:
        return load_checkpoint(model, checkpoint, map_location='cpu', strict=True)
    except Exception as error:  # see check_readable
        what = 'is not of this network' if 'do not match' in str(error) else 'cannot be read'
        raise InputError(_refusal(checkpoint, what, error)) from error


def _refusal(checkpoint: str, what: str, error: Exception) -> str:
    reason = shorten(f'{type(error).__name__} {error}', 200, placeholder='...')
    return (f'the checkpoint {checkpoint} {what} ({reason}): give a file that this project or mmdet saved, and the '
            'config that it was trained with')
