"""RoIAlign for CPUs, separable: each box is weighted along one side, then along the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tsm_det.errors import InputError


class SeparableRoIExtractor(nn.Module):
    """mmdet's SingleRoIExtractor with RoIAlign, equal up to rounding and many times faster on a CPU.

    A cell's value is the mean of bilinear samples on a grid (He et al., "Mask R-CNN", ICCV 2017, section 3): a weighted
    sum over the pixels of a box, where each weight is the product of a row weight and a column weight. Two small
    matrix products per box compute it, with one multiplication per pixel instead of per sample.

    ``extractor`` is mmdet's, with the settings to use. Raises InputError unless it averages with ``aligned=True``.
    """

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        layers = extractor.roi_layers
        if any(type(layer).__name__ != 'RoIAlign' or layer.pool_mode != 'avg' or not layer.aligned for layer in layers):
            raise InputError(f'the RoI extractor pools with {layers[0]} but this engine covers only RoIAlign with '
                             "pool_mode='avg' and aligned=True: use the engine eager")
        self.num_inputs = extractor.num_inputs
        self.featmap_strides = extractor.featmap_strides
        self.map_roi_levels = extractor.map_roi_levels
        self.out_size, self.sampling_ratio = layers[0].output_size, layers[0].sampling_ratio
        self.scales = [layer.spatial_scale for layer in layers]

    def forward(self, feats: Sequence[Tensor], rois: Tensor) -> Tensor:
        """Crop boxes from the levels that fit their size, to ``(k, C, *out_size)`` float32.

        Args:
            feats: levels ``(N, C, H_i, W_i)``, float32 or bfloat16.
            rois: ``(k, 5)`` float32: image index, x1, y1, x2, y2 in px of the network's input.
        """
        crops = rois.new_empty(len(rois), *self.out_size, feats[0].shape[1])
        levels = self.map_roi_levels(rois, len(feats))
        with _one_thread():
            for number, (feat, scale) in enumerate(zip(feats, self.scales, strict=True)):
                chosen = (levels == number).nonzero().squeeze(1)
                if len(chosen):
                    self._crop(feat.permute(0, 2, 3, 1), rois[chosen], scale, chosen, crops)
        return crops.permute(0, 3, 1, 2)

    def _crop(self, level: Tensor, rois: Tensor, scale: float, places: Tensor, crops: Tensor) -> None:
        sides = rois[:, 1:] * scale - 0.5
        images = rois[:, 0].long().tolist()
        left, across = _weights(sides[:, 0], sides[:, 2], self.out_size[1], level.shape[2], self.sampling_ratio)
        top, down = _weights(sides[:, 1], sides[:, 3], self.out_size[0], level.shape[1], self.sampling_ratio)
        spans = zip(images, places.tolist(), top, _spans(down), left, _spans(across), strict=True)
        for i, (image, place, y, height, x, width) in enumerate(spans):
            rows = across[i, :, :width] @ level[image, y:y + height, x:x + width].float()
            torch.mm(down[i, :, :height], rows.flatten(1), out=crops[place].flatten(1))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Context manager: one torch thread; distributing a product of 40 microseconds would take longer than it."""
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
