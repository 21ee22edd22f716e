"""Say what the backbone of a training starts from, and refuse weights of another network."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from textwrap import shorten
from traceback import walk_tb
from typing import Any

from mmdet.models import BaseDetector
from mmengine.logging import print_log
from mmengine.model import BaseModule, PretrainedInit
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tsm_det.errors import InputError
from tsm_det.models.weights import not_finite


def warn_random_backbone(model: BaseDetector, optim_wrapper: Mapping) -> None:
    """Log that a training holds back a backbone of random weights: frozen stages or statistics, a lower learning rate.

    ``model`` is a detector that no checkpoint is loaded into, ``optim_wrapper`` its config.
    """
    backbone = model.backbone
    kept = [f'frozen_stages={backbone.frozen_stages}'] if getattr(backbone, 'frozen_stages', -1) >= 0 else []
    if getattr(backbone, 'norm_eval', False) and any(isinstance(m, _BatchNorm) for m in backbone.modules()):
        kept.append('norm_eval=True')
    lr_mult = (optim_wrapper.get('paramwise_cfg') or {}).get('custom_keys', {}).get('backbone', {}).get('lr_mult', 1)
    if lr_mult < 1:
        kept.append(f'lr_mult={lr_mult:g}')
    if kept and not _pretrained_file(backbone):
        print_log(f'the backbone starts from random weights, and {" and ".join(kept)} holds them back: set '
                  'model.backbone.init_cfg.type=Pretrained and model.backbone.init_cfg.checkpoint=FILE', 'current',
                  logging.WARNING)


@contextmanager
def checked_pretrained(backbone: nn.Module) -> Iterator[None]:
    """Context manager around ``init_weights`` of a detector: log how many weights its backbone takes from its file.

    Vectors do not count, and weights of temporal operators, which no such file has, do not either. Without a file of
    type ``Pretrained`` nothing is checked.

    Raises InputError when the file has no weight of the backbone, when the backbone cannot read it, or when a weight is
    nan or infinite.
    """
    if (file := _pretrained_file(backbone)) is None:
        yield
        return
    read = _ReadTensors(backbone)
    hook = backbone._register_load_state_dict_pre_hook(read)
    try:
        yield
    except (LookupError, RuntimeError) as error:
        if not _is_from_reading(error, backbone):
            raise
        reason = shorten(f'{type(error).__name__} {error}', 120, placeholder='...')
        raise InputError(
            f"{type(backbone).__name__} cannot read {file} ({reason}): give a detector's weights as "
            "model.backbone.init_cfg.checkpoint, whose keys begin with 'backbone.', or, with "
            "model.backbone.convert_weights=True, those of the network's authors") from error
    finally:
        hook.remove()
    if bad := not_finite(backbone.state_dict()):
        raise InputError(f'{len(bad)} tensors of the backbone hold nan or infinite values after reading {file} '
                         f'({bad[0]}): give another file as model.backbone.init_cfg.checkpoint')
    _say_what_fits(read, file)


class _ReadTensors:
    """Hook before ``load_state_dict`` of a backbone: which of its weights have their name and shape there.

    There, not in the file: some backbones of mmdet rename and reshape what they read.
    """

    def __init__(self, backbone: nn.Module) -> None:
        self.shapes = {key: weight.shape for key, weight in backbone.named_parameters()
                       if weight.ndim > 1 and not key.startswith('temporal.')}
        self.keys: list[str] = []
        self.fitting: set[str] = set()

    def __call__(self, state_dict: Mapping[str, Tensor], prefix: str, *_: object) -> None:
        self.keys += state_dict
        self.fitting |= {key for key, shape in self.shapes.items()
                         if prefix + key in state_dict and state_dict[prefix + key].shape == shape}


def _say_what_fits(read: _ReadTensors, file: str) -> None:
    other = [key for key in read.shapes if key not in read.fitting]
    if not read.fitting:
        raise InputError(
            f'none of the {len(read.keys)} tensors of {file} ({", ".join(read.keys[:1])}, ...) has the name and shape '
            f'of a weight of the backbone ({other[0]}, ...): give weights of this backbone as '
            "model.backbone.init_cfg.checkpoint; tools/convert_weights.py converts torchvision's MobileNetV2 and TSM's "
            'ResNets')
    print_log(f'{len(read.fitting)} of {len(read.shapes)} weights of the backbone are from {file}'
              f'{f", the others are random: {other[0]}, ..." if other else ""}', 'current',
              logging.WARNING if other else logging.INFO)


def _pretrained_file(backbone: nn.Module) -> str | None:
    if isinstance(file := getattr(backbone, 'pretrained', None), str):  # where mmdet's DetectoRS keeps it
        return file
    given = getattr(backbone, 'init_cfg', None) or {}  # a network of the user's own may have none
    configs = given if isinstance(given, list) else [given]
    return next((config['checkpoint'] for config in configs
                 if config.get('type') in ('Pretrained', 'mmengine.Pretrained', PretrainedInit)), None)


def _is_from_reading(error: Exception, backbone: nn.Module) -> bool:
    """Whether a backbone that reads its file itself raised the error."""
    own: Any = type(backbone).init_weights  # type: ignore[attr-defined]
    return own is not BaseModule.init_weights and any(
        frame.f_code is own.__code__ for frame, _ in walk_tb(error.__traceback__))
