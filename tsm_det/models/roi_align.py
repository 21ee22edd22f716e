"""RoIAlign for CPUs, separable: each box is weighted along one side, then along the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from mmcv.ops import RoIAlign
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.registry import MODELS
from torch import Tensor
from torch.autograd.function import once_differentiable

from tsm_det.errors import InputError


@MODELS.register_module()
class SeparableRoIExtractor(SingleRoIExtractor):
    """mmdet's SingleRoIExtractor; on a CPU equal up to rounding and several times faster, in training too.

    A cell's value is the mean of bilinear samples on a grid (He et al., "Mask R-CNN", ICCV 2017, section 3): a weighted
    sum over the pixels of a box, where each weight is the product of a row weight and a column weight. Two small
    matrix products per box compute it, with one multiplication per pixel instead of per sample.

    Takes mmdet's arguments. Raises InputError unless the layers are RoIAlign that averages with ``aligned=True``.
    """

    def __init__(self, *args: object, **keys: object) -> None:
        super().__init__(*args, **keys)
        _check(self)

    def forward(self, feats: Sequence[Tensor], rois: Tensor, roi_scale_factor: float | None = None) -> Tensor:
        """Crop boxes from the levels that fit their size, to ``(k, C, *output_size)`` of the type of the boxes.

        Args:
            feats: levels ``(N, C, H_i, W_i)``, float32 or bfloat16.
            rois: ``(k, 5)``: image index, x1, y1, x2, y2 in px of the network's input.
            roi_scale_factor: enlarges the boxes about their centres.
        """
        if feats[0].is_cuda:
            return super().forward(feats, rois, roi_scale_factor)
        numbers = self.map_roi_levels(rois, len(feats))
        if roi_scale_factor is not None:
            rois = self.roi_rescale(rois, roi_scale_factor)
        return _SeparableRoIAlign.apply(self.roi_layers, rois, numbers, *feats)


def separable(extractor: SingleRoIExtractor) -> SeparableRoIExtractor:
    """Return the separable form of an extractor; raises InputError as the class does."""
    _check(extractor)
    layer = extractor.roi_layers[0]
    return SeparableRoIExtractor(
        dict(type='RoIAlign', output_size=layer.output_size, sampling_ratio=layer.sampling_ratio),
        extractor.out_channels, extractor.featmap_strides, extractor.finest_scale)


def _check(extractor: SingleRoIExtractor) -> None:
    layer = extractor.roi_layers[0]
    if type(layer) is not RoIAlign or layer.pool_mode != 'avg' or not layer.aligned:
        raise InputError(f'the RoI extractor pools with {layer} but the separable form covers only RoIAlign with '
                         "pool_mode='avg' and aligned=True: use type='SingleRoIExtractor' and the engine eager")


class _Window(NamedTuple):
    """The pixels of a box: where its crop stands, their place in ``(N, H, W)``, weights ``(cells, pixels)``."""

    crop: int
    place: tuple[int, slice, slice]
    across: Tensor
    down: Tensor


class _SeparableRoIAlign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layers: Sequence[RoIAlign], rois: Tensor, numbers: Tensor, *feats: Tensor) -> Tensor:
        crops = rois.new_empty(len(rois), *layers[0].output_size, feats[0].shape[1])
        ctx.levels, ctx.windows = [(feat.shape, feat.dtype) for feat in feats], []
        with _one_thread():
            for number, (layer, feat) in enumerate(zip(layers, feats, strict=True)):
                chosen = (numbers == number).nonzero().squeeze(1)
                windows = _windows(rois[chosen], chosen.tolist(), layer, feat.shape[2:]) if len(chosen) else []
                pixels = feat.permute(0, 2, 3, 1).contiguous()
                for crop, place, across, down in windows:
                    rows = across @ pixels[place].to(across)
                    torch.mm(down, rows.flatten(1), out=crops[crop].flatten(1))
                ctx.windows.append(windows)
        return crops.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        crops = gradient.permute(0, 2, 3, 1).contiguous()
        gradients = []
        with _one_thread():
            for windows, ((n, c, h, w), dtype) in zip(ctx.windows, ctx.levels, strict=True):
                pixels = crops.new_zeros(n, h, w, c)
                for crop, place, across, down in windows:
                    rows = (down.T @ crops[crop].flatten(1)).view(-1, *crops.shape[2:])
                    pixels[place] += across.T @ rows
                gradients.append(pixels.permute(0, 3, 1, 2).to(dtype).contiguous())
        return None, None, None, *gradients


def _windows(rois: Tensor, crops: list[int], layer: RoIAlign, size: torch.Size) -> list[_Window]:
    """Windows of boxes in one level of a size ``(H, W)``."""
    sides = rois[:, 1:] * layer.spatial_scale - 0.5
    (rows, columns), ratio = layer.output_size, layer.sampling_ratio
    left, across = _weights(sides[:, 0], sides[:, 2], columns, size[1], ratio)
    top, down = _weights(sides[:, 1], sides[:, 3], rows, size[0], ratio)
    spans = zip(crops, rois[:, 0].long().tolist(), top, _spans(down), left, _spans(across), strict=True)
    return [_Window(crop, (image, slice(y, y + height), slice(x, x + width)), across[i, :, :width], down[i, :, :height])
            for i, (crop, image, y, height, x, width) in enumerate(spans)]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Context manager: one torch thread; distributing a product of 40 microseconds would take longer than it.

    A thread of Python whose first call of torch falls into the block keeps one thread.
    """
    number = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(number)


def _weights(begin: Tensor, end: Tensor, cells: int, size: int, sampling_ratio: int) -> tuple[list[int], Tensor]:
    """Along one side: first pixel of each of k boxes, and weights ``(k, cells, longest)`` of its pixels in each cell.

    ``begin`` and ``end`` of the boxes and the ``size`` of the level are in px of the level; 0 is the centre of its
    first pixel. ``sampling_ratio`` is samples per cell; 0 for one per px, rounded up.
    """
    step = (end - begin) / cells
    samples = (torch.full_like(step, sampling_ratio) if sampling_ratio > 0 else step.ceil())[:, None, None]
    number = torch.arange(max(int(samples.max()), 1)).to(step)
    begin, step = begin[:, None, None], step[:, None, None]
    # Samples are centred in their parts of the cell; added in mmcv's order, to round as it does.
    places = begin + torch.arange(cells).to(step)[:, None] * step + (number + 0.5) * step / samples.clamp(min=1)
    counts = (number < samples) & (places >= -1) & (places <= size)
    places = places.clamp(0, size - 1)
    low = places.floor()
    high = (low + 1).clamp(max=size - 1)
    share = (places - low) * counts
    first = low.where(counts, size).amin((1, 2)).clamp(max=size - 1)
    longest = int((high.where(counts, 0).amax((1, 2)) - first).amax().clamp(min=0)) + 1
    weights = places.new_zeros(len(places), cells, longest)
    for pixel, weight in ((low, counts.to(share) - share), (high, share)):
        at = (pixel - first[:, None, None]).clamp(0, longest - 1).long()
        weights.scatter_add_(2, at, weight / samples.clamp(min=1))
    return first.long().tolist(), weights


def _spans(weights: Tensor) -> list[int]:
    """Number of pixels with a weight in each box, at least one."""
    reach = (weights != 0).any(1) * torch.arange(1, weights.shape[2] + 1)
    return reach.amax(1).clamp(min=1).tolist()
