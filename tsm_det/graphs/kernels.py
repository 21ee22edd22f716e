"""NMS and RoIAlign: mmcv's kernels in eager mode, one ONNX operator each when exported."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mmcv.ops import nms as mmcv_nms
from mmcv.ops import roi_align as mmcv_roi_align
from torch import Tensor


@torch.library.custom_op('tsm_det::nms', mutates_args=())
def nms(boxes: Tensor, scores: Tensor, iou_thr: float, score_thr: float, max_kept: int) -> Tensor:
    """Rows ``(k,)`` int64 of the boxes ``(n, 4)`` x1, y1, x2, y2 to keep, highest-scoring first, at most ``max_kept``.

    Boxes that score at most ``score_thr``, and those whose IoU with a kept one exceeds ``iou_thr``, are suppressed.
    """
    candidates = (scores > score_thr).nonzero().squeeze(1)
    _, kept = mmcv_nms(boxes[candidates], scores[candidates], iou_threshold=iou_thr)
    return candidates[kept[:max_kept]]


@nms.register_fake
def _(boxes: Tensor, scores: Tensor, iou_thr: float, score_thr: float, max_kept: int) -> Tensor:
    return scores.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.int64)


@torch.library.custom_op('tsm_det::roi_align', mutates_args=())
def roi_align(level: Tensor, boxes: Tensor, out_size: list[int], scale: float, sampling_ratio: int) -> Tensor:
    """Crop boxes ``(n, 4)`` in px of the network's input from a level ``(1, C, H, W)`` to ``(n, C, *out_size)``.

    ``scale`` is px of the level per px of the input; ``sampling_ratio`` samples per cell and side, 0 for one per px.
    """
    rois = torch.cat([boxes.new_zeros(len(boxes), 1), boxes], dim=1)
    return mmcv_roi_align(level, rois, out_size, scale, sampling_ratio, 'avg', True)


@roi_align.register_fake
def _(level: Tensor, boxes: Tensor, out_size: list[int], scale: float, sampling_ratio: int) -> Tensor:
    return level.new_empty(boxes.shape[0], level.shape[1], *out_size)


def onnx_translations() -> dict[Callable, Callable]:
    """The ONNX operators of both, for torch's exporter; ``onnxscript`` must be installed."""
    from onnxscript import opset18 as op

    def write_nms(boxes, scores, iou_thr: float, score_thr: float, max_kept: int):
        chosen = op.NonMaxSuppression(
            op.Unsqueeze(boxes, [0]), op.Unsqueeze(scores, [0, 1]), max_kept, iou_thr, score_thr)
        return op.Gather(chosen, 2, axis=1)  # rows are (image, class, box)

    def write_roi_align(level, boxes, out_size: list[int], scale: float, sampling_ratio: int):
        images = op.Expand(op.Constant(value_ints=[0]), op.Shape(boxes, start=0, end=1))
        # half_pixel is mmcv's aligned=True.
        return op.RoiAlign(level, boxes, images, output_height=out_size[0], output_width=out_size[1],
                           spatial_scale=scale, sampling_ratio=sampling_ratio, mode='avg',
                           coordinate_transformation_mode='half_pixel')

    return {torch.ops.tsm_det.nms.default: write_nms, torch.ops.tsm_det.roi_align.default: write_roi_align}
