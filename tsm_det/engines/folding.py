"""A detector made ready for inference: what training needs folded away, memory laid out as the kernels want it."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence

import torch
from mmcv.cnn import fuse_conv_bn
from mmengine.logging import print_log
from torch import Tensor, nn

from tsm_det.engines.roi_align import SeparableRoIExtractor


def fast(model: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A copy of a detector whose detections are the same up to rounding.

    Batch norms are folded into the convolutions before them, maps are ``channels_last``, and on a processor RoIAlign is
    separable. Boxes are decoded and suppressed in float32, whatever the convolutions compute in.

    Args:
        model: a TSMFasterRCNN, on its device.
        dtype: that backbone, neck and heads compute in: float32 or bfloat16.

    Raises:
        InputError: it pools boxes in a way that is not covered.
    """
    model = fuse_conv_bn(copy.deepcopy(model).eval()).requires_grad_(False)
    device = next(model.parameters()).device
    if dtype == torch.bfloat16 and not _multiplies_bfloat16(device):
        print_log(f'{device.type} has no units for bfloat16 here: expect a slower detector than in float32', 'current',
                  logging.WARNING)
    for part in (model.backbone, model.neck, model.rpn_head, model.roi_head.bbox_head):
        part.to(dtype=dtype, memory_format=torch.channels_last)
    first = next(module for module in model.backbone.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_pre_hook(_laid_out)
    model.rpn_head.register_forward_hook(_maps_in_float32)
    if device.type == 'cpu':
        model.roi_head.bbox_roi_extractor = SeparableRoIExtractor(model.roi_head.bbox_roi_extractor)
    else:
        model.roi_head.bbox_roi_extractor.register_forward_pre_hook(_levels_as_mmcv_reads_them)
    model.roi_head.bbox_head.register_forward_pre_hook(_laid_out_as_weights)
    model.roi_head.bbox_head.register_forward_hook(_in_float32)
    return model


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _laid_out(convolution: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].to(convolution.weight.dtype, memory_format=torch.channels_last),)


def _laid_out_as_weights(head: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].to(next(head.parameters()).dtype),)


def _maps_in_float32(_head: nn.Module, _inputs: tuple, outputs: tuple[list[Tensor], ...]) -> tuple[list[Tensor], ...]:
    return tuple([level.float() for level in levels] for levels in outputs)


def _in_float32(_head: nn.Module, _inputs: tuple, outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(output.float() for output in outputs)


def _levels_as_mmcv_reads_them(
        _extractor: nn.Module, inputs: tuple[Sequence[Tensor], Tensor]) -> tuple[tuple[Tensor, ...], Tensor]:
    # Its kernel takes neither channels_last, which it misreads without a word, nor boxes in bfloat16.
    levels, rois = inputs
    return tuple(level.float().contiguous() for level in levels), rois
