"""Weights of torchvision's MobileNetV2, under mmdet's names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

from tsm_det.errors import InputError

# Blocks per stage (Sandler et al., "MobileNetV2", CVPR 2018, table 2); torchvision numbers them on from 1.
_BLOCKS = (1, 2, 3, 4, 3, 3, 1)
_PLACES = [(stage, block) for stage, number in enumerate(_BLOCKS, 1) for block in range(number)]
_LAST = len(_PLACES) + 1
_FIRST = 'features.0.0.weight'
_WHAT = '(weight|bias|running_mean|running_var|num_batches_tracked)'


def mobilenet_weights(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename the weights of a MobileNetV2; return none if it is another network, and the other keys.

    Its keys may follow a prefix such as ``module.`` or ``model.``. The first releases of torchvision did not nest the
    modules of a block. Raises InputError when there are several prefixes, or tensors of the network are missing, as in
    one whose norms were fused or that was quantised.
    """
    prefixes = [key.removesuffix(_FIRST) for key in state_dict if re.fullmatch(rf'(.*\.)?{re.escape(_FIRST)}', key)]
    prefix = prefixes[0] if prefixes else ''
    is_flat = f'{prefix}features.1.conv.0.weight' in state_dict
    weights, rest = {}, []
    for key, tensor in state_dict.items():
        name = _name(key[len(prefix):], is_flat) if key.startswith(prefix) else None
        if name:
            weights[name] = tensor
        else:
            rest.append(key)
    if not any(name.startswith('layer') for name in weights):
        return {}, rest
    if len(prefixes) > 1:
        raise InputError(f'there are {len(prefixes)} networks, their keys begin with '
                         f'{" and ".join(map(repr, prefixes))}: save one of them as state_dict')
    if missing := [name for name in _names() if name not in weights or weights[name].is_quantized]:
        raise InputError(f'{len(missing)} tensors of a MobileNetV2 are missing or quantised ({missing[0]} by '
                         "mmdet's names, ...): give the network as it was trained, whole, not fused or quantised")
    return weights, rest


def _names() -> Iterator[str]:
    """mmdet's names of all weights."""
    for unit in ('conv1', *(f'layer{stage}.{block}.{name}_conv' for stage, block in _PLACES for name in _units(stage)),
                 'conv2'):
        yield f'{unit}.conv.weight'
        yield from (f'{unit}.bn.{what}' for what in ('weight', 'bias', 'running_mean', 'running_var'))


def _units(stage: int) -> tuple[str, ...]:
    return ('depthwise', 'linear') if stage == 1 else ('expand', 'depthwise', 'linear')


def _name(key: str, is_flat: bool) -> str | None:
    """mmdet's name of a convolution or norm; None for another key."""
    if match := re.fullmatch(rf'features\.(0|{_LAST})\.([01])\.{_WHAT}', key):
        place, part, what = match.groups()
        return f'{"conv1" if place == "0" else "conv2"}.{_part(int(part))}.{what}'
    # Three units, the first of which the first block lacks; the last unit is not nested.
    match = re.fullmatch(rf'features\.(\d+)\.conv\.(\d)\.(?:([01])\.)?{_WHAT}', key)
    if not match or not 0 < int(match[1]) < _LAST:
        return None
    stage, block = _PLACES[int(match[1]) - 1]
    units = _units(stage)
    if is_flat:  # convolution, norm and activation of each unit in a row
        number, part = divmod(int(match[2]), 3)
    elif match[3]:
        number, part = int(match[2]), int(match[3])
    else:
        number, part = len(units) - 1, int(match[2]) - len(units) + 1
    if number >= len(units) or part not in (0, 1):
        return None
    return f'layer{stage}.{block}.{units[number]}_conv.{_part(part)}.{match[4]}'


def _part(number: int) -> str:
    return 'bn' if number else 'conv'
