"""Backbone weights of TSM's action recognition networks, for detectors."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import torch
from mmengine.logging import print_log
from torch import Tensor

from tsm_det.errors import InputError
from tsm_det.files import check_writable, write_atomically
from tsm_det.locks import locked
from tsm_det.models.checkpoint_file import read_checkpoint

_BACKBONE = r'(?:module\.)?(?:base_model|backbone)\.'
_NAMES = {  # of mmaction2's ConvModule, by those of mmdet
    r'\.net\.': '.', r'downsample\.conv\.': 'downsample.0.', r'downsample\.bn\.': 'downsample.1.',
    r'(conv\d)\.conv\.': r'\1.', r'conv(\d)\.bn\.': r'bn\1.'}
_RESNET = r'(conv1|bn1|layer\d\.\d+\.(conv\d|bn\d|downsample\.[01]))\.\w+'
# Layers that write the channels of the residual stream, and those that read them.
_WRITERS = r'(conv1|bn1|layer\d\.\d+\.((conv|bn){last}|downsample\.[01]))\.\w+'
_READERS = r'layer\d\.\d+\.(conv1|downsample\.0)\.weight'


def convert_action_weights(checkpoint: str, out: str | os.PathLike, direction: str = 'both',
                           trust_checkpoint: bool = False) -> list[str]:
    """Write the ResNet of a TSM checkpoint under mmdet's names, for ``backbone.init_cfg`` of type ``Pretrained``.

    Args:
        checkpoint: of the authors' ResNet, or of mmaction2's ``ResNetTSM``, both with the bi-directional shift.
        out: path of the new file.
        direction: of the detector's backbone. For 'both' the weights are the same. For 'past' the channels of the
            residual stream are put in another order, see :func:`past_first`.
        trust_checkpoint: load a checkpoint of more than tensors and plain values, which may run any program.

    Returns:
        Keys that were left out, such as the classifier's.

    Raises:
        InputError: the file is not such a checkpoint, or ``out`` cannot be written or is another run's output.
    """
    if direction not in ('past', 'both'):
        raise InputError(f"--direction is {direction!r} but must be 'past' or 'both'")
    check_writable(out)
    weights, rest = backbone_weights(read_checkpoint(checkpoint, trust=trust_checkpoint)['state_dict'])
    if not weights:
        raise InputError(f'{checkpoint} has no shifted ResNet (keys such as layer1.0.conv1.net.weight): give a '
                         "checkpoint of the authors' TSM or of mmaction2's ResNetTSM")
    if direction == 'past':
        weights = past_first(weights)
        print_log('the channels that came from the future see the present frame in an online detector: fine-tune it',
                  'current')
    with locked(out), write_atomically(out, RuntimeError) as temporary:
        torch.save({'meta': {}, 'state_dict': weights}, temporary)
    return rest


def backbone_weights(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Rename the weights of a shifted ResNet; return none if no convolution of them is shifted, and the other keys.

    The authors wrap the first convolution of a block in ``net``; mmaction2 has convolutions and norms in one module.
    Raises InputError when a block has other layers.
    """
    weights, rest, is_shifted = {}, [], False
    for key, tensor in state_dict.items():
        name, is_backbone = re.subn(f'^{_BACKBONE}', '', key)
        for pattern, plain in _NAMES.items():
            name = re.sub(pattern, plain, name)
        if is_backbone and re.fullmatch(_RESNET, name):
            weights[name] = tensor
            is_shifted |= '.net.' in key
        elif name.startswith('layer'):
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
