"""Weights of torchvision's MobileNetV2, under mmdet's names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

# Blocks per stage (Sandler et al., "MobileNetV2", CVPR 2018, table 2); torchvision numbers them on from 1.
_BLOCKS = (1, 2, 3, 4, 3, 3, 1)
_PLACES = [(stage, block) for stage, number in enumerate(_BLOCKS, 1) for block in range(number)]
_LAST = len(_PLACES) + 1


def mobilenet_weights(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename the weights of a MobileNetV2; return none if it is another network, and the other keys.

    The first releases of torchvision did not nest the modules of a block.
    """
    named = {key.removeprefix('module.'): key for key in state_dict}
    is_flat = 'features.1.conv.0.weight' in named
    weights, rest = {}, []
    for short, key in named.items():
        name, tensor = _name(short, is_flat), state_dict[key]
        if name:
            weights[name] = tensor
        else:
            rest.append(key)
    is_whole = {'conv1.conv.weight', 'conv2.conv.weight', 'layer7.0.linear_conv.conv.weight'} <= weights.keys()
    return (weights if is_whole else {}), rest


def _name(key: str, is_flat: bool) -> str | None:
    """mmdet's name of a convolution or norm; None for another key."""
    if match := re.fullmatch(rf'features\.(0|{_LAST})\.([01])\.(\w+)', key):
        place, part, what = match.groups()
        return f'{"conv1" if place == "0" else "conv2"}.{_part(int(part))}.{what}'
    # Three units, the first of which the first block lacks; the last unit is not nested.
    match = re.fullmatch(r'features\.(\d+)\.conv\.(\d)\.(?:([01])\.)?(\w+)', key)
    if not match or not 0 < int(match[1]) < _LAST:
        return None
    stage, block = _PLACES[int(match[1]) - 1]
    units = ('depthwise', 'linear') if stage == 1 else ('expand', 'depthwise', 'linear')
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
