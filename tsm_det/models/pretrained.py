"""Say what the backbone of a training starts from, and refuse weights of another network."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping

import torch
from mmdet.models import BaseDetector
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
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
    lr_mult = optim_wrapper.get('paramwise_cfg', {}).get('custom_keys', {}).get('backbone', {}).get('lr_mult', 1)
    if lr_mult < 1:
        kept.append(f'lr_mult={lr_mult:g}')
    if kept and not _pretrained_file(backbone):
        print_log(f'the backbone starts from random weights, and {" and ".join(kept)} holds them back: set '
                  'model.backbone.init_cfg.type=Pretrained and model.backbone.init_cfg.checkpoint=FILE', 'current',
                  logging.WARNING)


def check_pretrained(backbone: nn.Module) -> None:
    """Log how many weights of a backbone, after its ``init_weights``, are those of its ``Pretrained`` file, if any.

    Weights are compared by value: some backbones of mmdet read files whose names differ from theirs. Vectors do not
    count, as those of any norm may be equal, and weights of temporal operators do not, as no such file has them. Works
    within :func:`~tsm_det.models.checkpoint_file.plain_files_only`, which reads the file.

    Raises InputError when none is, or a weight is nan or infinite.
    """
    if (file := _pretrained_file(backbone)) is None:
        return
    if bad := not_finite(backbone.state_dict()):
        raise InputError(f'{len(bad)} tensors of the backbone hold nan or infinite values after reading {file} '
                         f'({bad[0]}): give another file as model.backbone.init_cfg.checkpoint')
    theirs = CheckpointLoader.load_checkpoint(file, 'cpu')['state_dict']
    of_shape = defaultdict(list)
    for tensor in theirs.values():
        of_shape[tensor.shape].append(tensor)
    ours = {key: weight.detach().cpu() for key, weight in backbone.named_parameters()
            if weight.ndim > 1 and not key.startswith('temporal.')}
    other = [key for key, weight in ours.items() if not _is_among(weight, of_shape[weight.shape])]
    if len(other) == len(ours):
        raise InputError(
            f'of the {len(theirs)} tensors of {file} ({next(iter(theirs))}, ...) none fits the backbone ({other[0]}, '
            "...): give weights of this backbone as model.backbone.init_cfg.checkpoint; torchvision's MobileNetV2 and "
            "TSM's ResNets go through tools/convert_weights.py first")
    print_log(f'{len(ours) - len(other)} of {len(ours)} weights of the backbone are from {file}'
              f'{f", the others are random: {other[0]}, ..." if other else ""}', 'current',
              logging.WARNING if other else logging.INFO)


def _pretrained_file(backbone: nn.Module) -> str | None:
    given = getattr(backbone, 'init_cfg', None) or {}  # a network of the user's own may have none
    configs = given if isinstance(given, list) else [given]
    return next((config['checkpoint'] for config in configs if config.get('type') == 'Pretrained'), None)


def _is_among(weight: Tensor, others: list[Tensor]) -> bool:
    return any(torch.equal(weight, other.to(weight.dtype)) for other in others)
