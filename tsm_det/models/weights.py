"""Put the tensors of a checkpoint into a network, and say how many fitted."""

from __future__ import annotations

import re
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import load_state_dict
from torch import Tensor, nn

from tsm_det.errors import InputError
from tsm_det.models.checkpoint_file import read_checkpoint

_TEMPORAL = ('backbone.temporal.', 'roi_head.memory.')


def load_weights(model: nn.Module, checkpoint: str, trust: bool = False) -> dict:
    """Load a checkpoint with exactly the detector's keys, apart from a prefix, and return the content of the file.

    A network without sites and without RoI memory, thus per-frame, leaves out the weights of operators and memory.
    ``trust``: see :func:`read_checkpoint`. Raises InputError when the file cannot be read, its head has another number
    of classes, it does not match the network, or a weight is not finite.
    """
    content = read_checkpoint(checkpoint, trust=trust)
    weights = fitted_weights(model, content['state_dict'], checkpoint)
    ours = model.state_dict()
    parts = (getattr(model, name, None) for name in ('backbone', 'neck'))
    if not any(getattr(part, 'sites', ()) for part in parts) and not any(key.startswith(_TEMPORAL) for key in ours):
        weights = {key: weight for key, weight in weights.items() if not key.startswith(_TEMPORAL)}
    check_head(model, weights, checkpoint)
    try:
        load_state_dict(model, weights, strict=True)  # knows the renamed keys of older versions
    except RuntimeError as error:
        raise InputError(f'the checkpoint {checkpoint} is not of this network ({_difference(ours, weights)}): give the '
                         'config of its training') from error
    return {**content, 'state_dict': weights}


def fitted_weights(model: nn.Module, weights: Mapping[str, Tensor], checkpoint: str) -> dict[str, Tensor]:
    """Name the tensors of a checkpoint as the network does, without a prefix such as ``model.`` or ``ema_``.

    Logs how many fit. Raises InputError when none of the backbone fits, two networks in the file fit equally well, or a
    fitting weight is not finite.
    """
    ours = model.state_dict()
    prefix, named = _best_prefix(ours, weights, checkpoint)
    taken = [key for key in named if key in ours and named[key].shape == ours[key].shape]
    part = 'backbone.' if any(key.startswith('backbone.') for key in ours) else ''
    if not any(key.startswith(part) for key in taken):
        raise InputError(
            f'of the {len(weights)} tensors of {checkpoint} ({next(iter(weights))}, ...) none fits the backbone '
            f'({next(key for key in ours if key.startswith(part))}, ...): give a checkpoint of this detector; weights '
            'of a backbone alone go into model.backbone.init_cfg')
    left = [key for key in ours if key not in set(taken) and not key.endswith('num_batches_tracked')]
    print_log(f'{len(taken)} of {len(weights)} tensors taken from {checkpoint}'
              f'{f", without the prefix {prefix!r}" if prefix else ""}'
              f'{f"; {len(left)} of the network keep their values ({left[0]}, ...)" if left else ""}', 'current')
    if bad := not_finite({key: named[key] for key in taken}):
        raise InputError(f'{len(bad)} tensors of {checkpoint} hold nan or infinite values ({bad[0]}): its training '
                         'diverged, so give an earlier checkpoint')
    return named


def not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors with a nan or infinite value."""
    return [key for key, weight in weights.items() if weight.is_floating_point() and not torch.isfinite(weight).all()]


def heads_of(model: nn.Module) -> Iterator[tuple[str, BaseModule]]:
    """The heads of a detector whose outputs are classes, by the names of their configs below ``model``."""
    for name, head in model.named_modules():
        if re.fullmatch(r'(roi_head\.)?(bbox|mask)_head(\.\d+)?', name) and hasattr(head, 'num_classes'):
            yield name, head


def check_head(model: nn.Module, weights: Mapping[str, Tensor], checkpoint: str) -> None:
    """Raise InputError when a head's outputs are those of another number of classes."""
    ours = model.state_dict()
    for name, head in heads_of(model):
        if any(re.fullmatch(rf'{name}\.\w*cls(\.\d+)?\.weight', key) and key in ours and ours[key].shape == weight.shape
               for key, weight in weights.items()):
            continue
        sizes = [(ours[key].shape[0], weight.shape[0]) for key, weight in weights.items()
                 if key.startswith(f'{name}.') and key in ours and ours[key].shape != weight.shape
                 and ours[key].shape[1:] == weight.shape[1:]]
        counts = [_class_counts(head.num_classes, *size) for size in sizes]
        if counts and (common := set.intersection(*counts)):
            raise InputError(f'the checkpoint {checkpoint} has {min(common)} classes but the config has '
                             f'{head.num_classes}: set model.{name}.num_classes to {min(common)}, or give a '
                             'checkpoint of this config')


def _class_counts(num_classes: int, ours: int, theirs: int) -> set[int]:
    """Numbers of classes that explain another number of outputs: k per class, or per class and background."""
    found = set()
    for background in (0, 1):
        per_class, rest = divmod(ours, num_classes + background)
        if not rest and theirs % per_class == 0:
            found.add(theirs // per_class - background)
    return found - {0, num_classes}


def _best_prefix(ours: Mapping[str, Tensor], weights: Mapping[str, Tensor],
                 checkpoint: str) -> tuple[str, dict[str, Tensor]]:
    """The prefix under which most of the network's keys stand, and the weights without it.

    Dots and underscores count alike: mmdet 2 saved averaged weights as ``ema_backbone_conv1_weight``.
    """
    flat = {key.replace('.', '_'): key for key in ours}
    by_prefix: dict[str, dict[str, str]] = defaultdict(dict)  # the file's keys by the network's
    for key in weights:
        for start in (0, *(mark.end() for mark in re.finditer(r'[._]', key))):
            if name := flat.get(key[start:].replace('.', '_')):
                by_prefix[key[:start]][name] = key
    most = max(map(len, by_prefix.values()), default=0)
    best = [prefix for prefix, found in by_prefix.items() if len(found) == most]
    if len(best) > 1 and '' not in best:
        raise InputError(f'{checkpoint} holds the network {len(best)} times, below {" and ".join(map(repr, best))}: '
                         'save one of them as state_dict')
    prefix = best[0] if best and '' not in best else ''
    named = OrderedDict((name, weights[key]) for name, key in by_prefix[prefix].items())
    if not prefix:  # keep what the network lacks, unless it is the network again
        used = {key for found in by_prefix.values() for key in found.values()}
        named.update((key, weight) for key, weight in weights.items() if key not in used)
        named._metadata = getattr(weights, '_metadata', OrderedDict())  # type: ignore[attr-defined]
    return prefix, named


def _difference(ours: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str:
    """What distinguishes the keys and shapes, each kind with its first key."""
    sizes = [f'{key} is {tuple(weights[key].shape)} but needs {tuple(ours[key].shape)}' for key in ours
             if key in weights and weights[key].shape != ours[key].shape]
    kinds = {'of another size': sizes, 'missing': [key for key in ours if key not in weights],
             'unknown': [key for key in weights if key not in ours]}
    return ', '.join(f'{len(keys)} {kind}: {keys[0]}' for kind, keys in kinds.items() if keys)
