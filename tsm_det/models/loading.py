"""A detector out of a config and a checkpoint."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint

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
        InputError: the checkpoint is missing, or is not of this network.
    """
    init_default_scope(config.get('default_scope', 'mmdet'))
    model = MODELS.build(config.model)
    if checkpoint is None:
        print_log('random weights: no checkpoint was given, so detections mean nothing', 'current', level=30)
        content = {}
    else:
        content = load_weights(model, checkpoint)
    meta = content.get('meta', {}).get('dataset_meta') or config.test_dataloader.dataset.get('metainfo') or {}
    classes = meta.get('classes') or [f'class {label}' for label in range(model.roi_head.bbox_head.num_classes)]
    model.dataset_meta = {'classes': tuple(classes)}
    return model.to(device).eval()


def check_checkpoint(path: str) -> None:
    """Raise InputError when a checkpoint, unless it is a URL, is missing."""
    if not re.match(r'\w+://', path) and not Path(path).is_file():
        raise InputError(f'the checkpoint {path} is missing: give the path of one that is there, or have it made first')


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
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        what = 'is not of this network' if 'do not match' in str(error) else 'cannot be read'
        reason = ' '.join(str(error).split())[:200]
        raise InputError(f'the checkpoint {checkpoint} {what} ({reason}): give a file that this project or mmdet '
                         'saved, and the config that it was trained with') from error
