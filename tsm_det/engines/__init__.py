"""Faster ways to run a detector with the same detections; docs/engines.md says when to use which."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, fuse_conv_bn
from mmdet.models.dense_heads import ATSSHead, FCOSHead, GFLHead, RetinaHead, RTMDetSepBNHead, YOLOXHead
from mmdet.models.detectors import SingleStageDetector
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor, nn

from tsm_det.engines.compiling import CompiledClip, CompiledHead
from tsm_det.engines.fused import can_fuse, fuse
from tsm_det.engines.openvino import Int8Detect
from tsm_det.errors import InputError
from tsm_det.malloc import keep_freed_memory
from tsm_det.mixed_precision import has_bfloat16_units
from tsm_det.models.box_selection import TopKRoIHead, best_by_place
from tsm_det.models.memory_roi_head import MemoryRoIHead
from tsm_det.models.roi_align import separable

_DENSE_HEADS = (RetinaHead, FCOSHead, ATSSHead, GFLHead, RTMDetSepBNHead, YOLOXHead)
ENGINES = ('eager', 'fast', 'fast-bf16', 'compiled', 'compiled-bf16', 'openvino-int8')


def check_engine(name: str) -> None:
    """Raise InputError when a name is not one of ``ENGINES``."""
    if name not in ENGINES:
        raise InputError(f'the engine is {name} but must be one of {", ".join(ENGINES)}')


def with_engine(model: nn.Module, name: str = 'eager', config: Config | None = None) -> nn.Module:
    """Copy a temporal detector, on its device, into one that runs with an engine and has its name as ``engine``.

    ``eager`` returns the model itself. ``-bf16`` computes convolutions in bfloat16, with slightly different detections.
    ``openvino-int8`` needs the model's ``config``, whose training data calibrate it. On a CPU all engines but ``eager``
    also tune glibc malloc for the process, and ``fast`` fuses convolutions.

    Raises InputError when the engine is unknown, or does not cover a part of the detector.
    """
    check_engine(name)
    if name == 'eager':
        return model
    is_on_cpu = next(model.parameters()).device.type == 'cpu'
    if is_on_cpu:
        keep_freed_memory()
    kind, _, precision = name.partition('-')
    if kind != 'fast' and model.direction == 'both':
        raise InputError(f"the engine is {name} but direction='both' runs in windows of several lengths: use eager or "
                         'fast')
    if kind == 'openvino':
        model = copy.deepcopy(model)
        model.engine, model.detect = name, Int8Detect(model, config)
        return model
    dtype = torch.bfloat16 if precision else torch.float32
    model = fast(model, dtype)
    model.engine = name
    if kind == 'fast' and is_on_cpu and can_fuse(dtype):
        fuse(_networks(model))
    if kind == 'compiled':
        model.extract_clip, head = CompiledClip(model), dense_head(model)
        head.forward = CompiledHead(head)
    return model


def dense_head(model: nn.Module) -> nn.Module:
    """Return the head that runs on the pyramid: the RPN, or the head of a single-stage detector.

    Raises InputError when the engines do not cover the detector.
    """
    if type(getattr(model, 'roi_head', None)) in (TopKRoIHead, MemoryRoIHead) and not model.roi_head.with_mask:
        return model.rpn_head
    if isinstance(model, SingleStageDetector) and type(model.bbox_head) in _DENSE_HEADS:
        return model.bbox_head
    raise InputError(f'the detector is {type(model).__name__} but engines cover Faster R-CNN and detectors with '
                     f'{", ".join(head.__name__ for head in _DENSE_HEADS)}: use the engine eager')


def fast(model: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Copy a detector into a faster one with the same detections up to rounding.

    Batch norms are folded into convolutions, maps are ``channels_last``, and RoIAlign is separable on a CPU. Backbone,
    neck and heads compute in ``dtype``, float32 or bfloat16; boxes are decoded and suppressed in float32.

    Raises InputError when the model's heads or RoI pooling are not covered.
    """
    dense_head(model)  # refuse before copying
    model = fuse_conv_bn(_with_own_convolutions(copy.deepcopy(model).eval())).requires_grad_(False)
    head = dense_head(model)
    device = next(model.parameters()).device
    if dtype == torch.bfloat16 and not has_bfloat16_units(device):
        print_log(f'this {device.type} has no bfloat16 units: expect a slower detector than in float32', 'current',
                  logging.WARNING)
    for part in _networks(model):
        part.to(dtype=dtype, memory_format=torch.channels_last)
    first = next(module for module in model.backbone.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_pre_hook(_as_channels_last)
    head.register_forward_hook(_in_float32)
    if not hasattr(model, 'roi_head'):
        return model
    head.best_first = best_by_place
    model.roi_head.bbox_head.to(dtype=dtype, memory_format=torch.channels_last)
    if device.type == 'cpu':
        model.roi_head.bbox_roi_extractor = separable(model.roi_head.bbox_roi_extractor)
    else:
        model.roi_head.bbox_roi_extractor.register_forward_pre_hook(_levels_for_mmcv)
    model.roi_head.bbox_head.register_forward_pre_hook(_as_weights)
    model.roi_head.bbox_head.register_forward_hook(_in_float32)
    return model


def _networks(model: nn.Module) -> list[nn.Module]:
    """Backbone, neck and dense head."""
    return [part for part in (model.backbone, getattr(model, 'neck', None), dense_head(model)) if part is not None]


def _as_channels_last(convolution: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].to(convolution.weight.dtype, memory_format=torch.channels_last),)


def _as_weights(head: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    return (inputs[0].to(next(head.parameters()).dtype),)


def _in_float32(_head: nn.Module, _inputs: tuple, outputs: tuple[Tensor | list[Tensor], ...]) -> tuple:
    return tuple(part.float() if isinstance(part, Tensor) else [level.float() for level in part] for part in outputs)


def _with_own_convolutions(model: nn.Module) -> nn.Module:
    """Copy convolutions that several batch norms share (RTMDet's head), so that each can take up its own."""
    seen = set()
    for module in model.modules():
        if isinstance(module, ConvModule):
            if id(module.conv) in seen:
                module.conv = copy.deepcopy(module.conv)
            seen.add(id(module.conv))
    return model


def _levels_for_mmcv(
        _extractor: nn.Module, inputs: tuple[Sequence[Tensor], Tensor]) -> tuple[tuple[Tensor, ...], Tensor]:
    # mmcv's CUDA kernel misreads channels_last without an error, and does not take bfloat16 boxes.
    levels, rois = inputs
    return tuple(level.float().contiguous() for level in levels), rois
