"""Backbone weights of TSM's action recognition networks, under mmdet's names."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from tsm_det.errors import InputError

_BACKBONE = r'(?:module\.)?(?:base_model|backbone)\.'
_NAMES = {  # of mmaction2's ConvModule, by those of mmdet
    r'\.net\.': '.', r'downsample\.conv\.': 'downsample.0.', r'downsample\.bn\.': 'downsample.1.',
    r'(conv\d)\.conv\.': r'\1.', r'conv(\d)\.bn\.': r'bn\1.'}
_RESNET = r'(conv1|bn1|layer\d\.\d+\.(conv\d|bn\d|downsample\.[01]))\.\w+'
# Layers that write the channels of the residual stream, and those that read them.
_WRITERS = r'(conv1|bn1|layer\d\.\d+\.((conv|bn){last}|downsample\.[01]))\.\w+'
_READERS = r'layer\d\.\d+\.(conv1|downsample\.0)\.weight'


def backbone_weights(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename the weights of a shifted ResNet; return none if no convolution of them is shifted, and the other keys.

    The authors wrap the first convolution of a block in ``net``; mmaction2 has convolutions and norms in one module.
    Raises InputError when a block has other layers, or is shifted as a whole.
    """
    weights, rest, is_shifted = {}, [], False
    for key, tensor in state_dict.items():
        name, is_backbone = re.subn(f'^{_BACKBONE}', '', key)
        for pattern, plain in _NAMES.items():
            name = re.sub(pattern, plain, name)
        if is_backbone and re.fullmatch(_RESNET, name):
            weights[name] = tensor
            if re.search(r'\.\d+\.net\.', key):
                raise InputError(f'{key} is of a network that shifts the input of whole blocks, their identity path '
                                 'too: give one whose shift_place is "blockres"')
            is_shifted |= '.net.' in key
        elif is_backbone and name.startswith('layer'):
            raise InputError(f"{key} is of a block that mmdet's ResNet does not have: give a checkpoint without "
                             'non-local blocks')
        else:
            rest.append(key)
    return (weights if is_shifted else {}), rest


def past_first(weights: Mapping[str, Tensor], shift_div: int = 8) -> dict[str, Tensor]:
    """Swap the first and the second ``1 / shift_div`` of the channels of a ResNet's residual stream.

    The bi-directional shift takes the first channels from the future and the second from the past; the online shift
    takes the first from the past. All layers that write the stream, and all that read it, change together, so the
    network computes the same, its output channels in the new order. In an online detector the second channels then
    hold the present frame where the network learned to see the future: it needs fine-tuning.

    Args:
        weights: of a ResNet, by mmdet's names.
        shift_div: of the network.
    """
    last = 3 if any(re.fullmatch(r'layer\d\.\d+\.conv3\.weight', key) for key in weights) else 2
    swapped = {}
    for key, tensor in weights.items():
        if tensor.ndim and re.fullmatch(_WRITERS.format(last=last), key):
            tensor = _swapped(tensor, 0, shift_div)
        if re.fullmatch(_READERS, key):
            tensor = _swapped(tensor, 1, shift_div)
        swapped[key] = tensor
    return swapped


def _swapped(tensor: Tensor, dim: int, shift_div: int) -> Tensor:
    fold = tensor.shape[dim] // shift_div
    first, second, rest = tensor.split([fold, fold, tensor.shape[dim] - 2 * fold], dim)
    return torch.cat([second, first, rest], dim)
