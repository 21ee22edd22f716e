"""Causal depthwise convolution over time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tsm_det.models.operators.recent_frames import with_past


class TemporalConvolution(nn.Module):
    """Adds to each channel its weighted sum over the present frame and the frames before.

    The temporal half of R(2+1)D (Tran et al., CVPR 2018, section 3.4), depthwise, causal and with a residual path.
    Frame by frame it is a continual convolution (Hedegaard and Iosifidis, ECCV 2022, section 3). The past holds
    ``kernel_size - 1`` whole maps.

    Args:
        channels: C.
        kernel_size: number of frames.
    """

    def __init__(self, channels: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(kernel_size, channels, 1, 1))

    def forward(self, frames: Tensor, clip_shape: tuple[int, int], past: Tensor | None) -> tuple[Tensor, Tensor, None]:
        """Apply the operator: see :class:`~tsm_det.sites.Operator`."""
        clip = frames.unflatten(0, clip_shape)
        extended, present = with_past(clip, past, len(self.weight) - 1)
        for first, weight in enumerate(self.weight.to(clip.dtype)):  # of the oldest frame first
            clip = clip + weight * extended[:, first:first + clip_shape[1]]
        return clip.flatten(0, 1), present, None
