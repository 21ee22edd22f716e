"""Convert backbones of other projects' checkpoints to start a detector from."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
from mmengine.logging import print_log
from torch import Tensor

from tsm_det.errors import InputError
from tsm_det.files import check_writable, write_atomically
from tsm_det.locks import locked
from tsm_det.models.action_weights import backbone_weights, past_first
from tsm_det.models.checkpoint_file import read_checkpoint
from tsm_det.models.mobilenet_weights import mobilenet_weights
from tsm_det.models.weights import not_finite


def convert_weights(checkpoint: str, out: str | os.PathLike, direction: str = 'both',
                    trust_checkpoint: bool = False) -> list[str]:
    """Write a backbone's weights under mmdet's names, for ``backbone.init_cfg`` of type ``Pretrained``.

    Args:
        checkpoint: of the TSM authors' ResNet, or of mmaction2's ``ResNetTSM``, both with the bi-directional shift; or
            of torchvision's ``mobilenet_v2``.
        out: path of the new file.
        direction: of the detector's backbone. For 'both' the weights are the same. For 'past' the channels of a shifted
            ResNet's residual stream are put in another order, see :func:`past_first`.
        trust_checkpoint: load a checkpoint of more than tensors and plain values, which may run any program.

    Returns:
        Keys that were left out, such as the classifier's.

    Raises:
        InputError: the file is not such a checkpoint, whole and finite; or ``out`` cannot be written or is another
            run's output.
    """
    if direction not in ('past', 'both'):
        raise InputError(f"--direction is {direction!r} but must be 'past' or 'both'")
    check_writable(out)
    content = read_checkpoint(checkpoint, trust=trust_checkpoint)['state_dict']
    try:
        weights, rest = _converted(content, direction)
    except InputError as error:
        raise InputError(f'{checkpoint}: {error}') from error
    if not weights:
        raise InputError(f'{checkpoint} has neither a shifted ResNet (keys such as layer1.0.conv1.net.weight) nor a '
                         "MobileNetV2 of torchvision (features.0.0.weight): give a checkpoint of the authors' TSM, of "
                         "mmaction2's ResNetTSM or of torchvision's mobilenet_v2; a file already in mmdet's names goes "
                         'into model.backbone.init_cfg as it is')
    if bad := not_finite(weights):
        raise InputError(f"{len(bad)} tensors of {checkpoint} hold nan or infinite values ({bad[0]} by mmdet's names): "
                         'its training diverged, so give another file')
    with locked(out), write_atomically(out, RuntimeError) as temporary:
        torch.save({'meta': {}, 'state_dict': weights}, temporary)
    return rest


def _converted(content: Mapping[str, Tensor], direction: str) -> tuple[dict[str, Tensor], list[str]]:
    weights, rest = mobilenet_weights(content)
    if not weights:
        weights, rest = backbone_weights(content)
        if weights and direction == 'past':
            weights = past_first(weights)
            print_log('the channels that came from the future see the present frame in an online detector: fine-tune '
                      'it', 'current')
    return weights, rest
