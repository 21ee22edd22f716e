"""Build a detector from a config and a checkpoint."""

from __future__ import annotations

import copy
from textwrap import shorten
from typing import Any

import torch
from mmdet.models import BaseDetector
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import init_default_scope

from tsm_det.config import class_names, dataset_config
from tsm_det.config_errors import config_errors
from tsm_det.errors import InputError
from tsm_det.models.checkpoint_file import plain_files_only
from tsm_det.models.class_names import check_class_count, check_learned_classes
from tsm_det.models.trained_config import warn_of_other_config
from tsm_det.models.weights import load_weights


def build_detector(config: Config, checkpoint: str | None = None, device: str = 'cpu',
                   trust_checkpoint: bool = False) -> BaseDetector:
    """Build the config's detector for inference, with the checkpoint's weights and class names.

    Returns it in eval mode; ``dataset_meta['classes']`` names its labels. Raises InputError when the device is not
    available, the config describes no detector, or the checkpoint is missing or does not match the network.

    Args:
        config: its ``model`` is built; nothing is downloaded (``init_cfg`` is not used).
        checkpoint: path, or None for random weights, with a warning.
        device: e.g. 'cpu' or 'cuda:0'.
        trust_checkpoint: load a checkpoint of more than tensors and plain values, which may run any program.
    """
    check_device(device)
    model = build_model(config, trust_checkpoint)
    if checkpoint is None:
        warn_random_weights()
    content = {} if checkpoint is None else load_weights(model, checkpoint, trust_checkpoint)
    warn_of_other_config(config, content, checkpoint)
    model.dataset_meta = {'classes': _names(model, content, checkpoint, config)}
    return model.to(device).eval()


def _names(model: BaseDetector, content: dict, checkpoint: str | None, config: Config) -> tuple[str, ...]:
    """The checkpoint's class names, else those of the test data, else numbers."""
    if names := check_learned_classes(model, content, checkpoint):
        return names
    metainfo = dataset_config(config).get('metainfo') or {}
    if names := class_names(metainfo.get('classes')):
        check_class_count(model, names, 'metainfo.classes of the test data',
                          'name those of the training, or set {key} to {count}')
        return names
    return tuple(f'class {label}' for label in range(num_classes_of(model)))


def build_model(config: Config, trust_checkpoint: bool = False) -> BaseDetector:
    """Build the network of a config; raise InputError when the config describes none."""
    init_default_scope(config.get('default_scope', 'mmdet'))
    with config_errors(config), plain_files_only(trust_checkpoint):
        return MODELS.build(copy.deepcopy(config.model))  # building changes a config


def num_classes_of(model: BaseDetector | ConfigDict) -> int:
    """Number of classes of a detector, or of its config: that of its first box head."""
    head = getattr(model, 'roi_head', model).bbox_head
    first: Any = head[0] if isinstance(head, list | torch.nn.ModuleList) else head
    return first.num_classes


def warn_random_weights() -> None:
    """Log that the detections of a model without a checkpoint mean nothing."""
    print_log('random weights: no checkpoint was given, so detections and metrics mean nothing', 'current', level=30)


def check_device(device: str) -> None:
    """Raise InputError when a tensor cannot be moved to a device and back."""
    try:
        torch.zeros(1, device=device).tolist()
    except (RuntimeError, AssertionError, ImportError) as error:  # it depends on the kind of device
        known = ', '.join(['cpu', *(f'cuda:{index}' for index in range(torch.cuda.device_count()))])
        reason = shorten(str(error), 80, placeholder='...')
        raise InputError(f'the device is {device!r} but torch {torch.__version__} finds {known} here ({reason}): '
                         'choose one of these, or install a torch for the other') from error
