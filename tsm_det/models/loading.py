"""Build a detector from a config and a checkpoint."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from textwrap import shorten

import torch
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.optim import OneCycleParamScheduler
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader, load_checkpoint

from tsm_det.config import class_names, dataset_config
from tsm_det.errors import InputError
from tsm_det.models.class_names import check_class_count, check_learned_classes


def build_detector(config: Config, checkpoint: str | None = None, device: str = 'cpu') -> torch.nn.Module:
    """Build the config's detector for inference, with the checkpoint's weights and class names.

    Returns it in eval mode; ``dataset_meta['classes']`` names its labels. Raises InputError when the device is not
    available, or the checkpoint is missing or does not match the network.

    Args:
        config: its ``model`` is built; nothing is downloaded (``init_cfg`` is not used).
        checkpoint: path, or None for random weights, with a warning.
        device: e.g. 'cpu' or 'cuda:0'.
    """
    check_device(device)
    init_default_scope(config.get('default_scope', 'mmdet'))
    model = MODELS.build(config.model)
    if checkpoint is None:
        warn_random_weights()
    content = {} if checkpoint is None else load_weights(model, checkpoint)
    model.dataset_meta = {'classes': _names(model, content, checkpoint, config)}
    return model.to(device).eval()


def _names(model: torch.nn.Module, content: dict, checkpoint: str | None, config: Config) -> tuple[str, ...]:
    """The checkpoint's class names, else those of the test data, else numbers."""
    if names := check_learned_classes(model, content, checkpoint):
        return names
    metainfo = dataset_config(config).get('metainfo') or {}
    if names := class_names(metainfo.get('classes')):
        check_class_count(model, names, 'metainfo.classes of the test data',
                          'name those of the training, or set {key} to {count}')
        return names
    return tuple(f'class {label}' for label in range(num_classes_of(model)))


def num_classes_of(model: torch.nn.Module | ConfigDict) -> int:
    """Number of classes of a detector, or of its config: that of its first box head."""
    head = getattr(model, 'roi_head', model).bbox_head
    return (head[0] if isinstance(head, list | torch.nn.ModuleList) else head).num_classes


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


def trusted_classes() -> AbstractContextManager:
    """Let torch and mmengine unpickle the checkpoints of a training with ``weights_only=True``.

    mmengine trusts its own classes and numpy's already, but not the scheduler of the small configs.
    """
    return torch.serialization.safe_globals([OneCycleParamScheduler])


def read_checkpoint(checkpoint: str) -> dict:
    """Read a checkpoint onto the CPU; raise InputError when it is missing or cannot be read."""
    return _read(checkpoint, lambda: CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu'))


def load_weights(model: torch.nn.Module, checkpoint: str) -> dict:
    """Load a checkpoint with exactly the detector's keys, and return the content of the file.

    mmengine reads it with ``weights_only=True`` and warns when a file needs more. Raises InputError when the file is
    missing, not a checkpoint, or does not match the network.
    """
    return _read(checkpoint, lambda: load_checkpoint(model, checkpoint, map_location='cpu', strict=True))


def _read(checkpoint: str, read: Callable[[], dict]) -> dict:
    if not re.match(r'\w+://', checkpoint) and not Path(checkpoint).is_file():
        raise InputError(f'the checkpoint {checkpoint} is missing: give the path of an existing file')
    try:
        with trusted_classes():
            return read()
    except Exception as error:  # unpickling other bytes can raise anything: KeyError, MemoryError...
        what = 'is not of this network' if 'do not match' in str(error) else 'cannot be read'
        reason = shorten(f'{type(error).__name__} {error}', 200, placeholder='...')
        raise InputError(f'the checkpoint {checkpoint} {what} ({reason}): give a file saved by this project or mmdet, '
                         'and the config of its training') from error
