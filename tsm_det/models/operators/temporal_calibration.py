"""Convolution weights calibrated over time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsm_det.models.operators.recent_frames import with_ones, with_past


class TemporalCalibration(nn.Module):
    """Scales the input channels of a convolution, frame by frame, which scales its weights.

    TAdaConv (Huang et al., ICLR 2022, section 3.2), causal: its convolution over the descriptors of the frames around
    becomes one over the last ``kernel_size``, and the mean over the clip one over the last ``window``. It has no batch
    norm, and its second convolution sees one frame. A descriptor is a frame's mean over space: the past holds
    ``window - 1`` of them, a few bytes per channel.

    Args:
        channels: C.
        kernel_size: number of frames of the convolution.
        window: number of frames of the mean.
        reduction: how many times fewer channels the hidden layer has.
    """

    def __init__(self, channels: int, kernel_size: int = 3, window: int = 8, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.kernel_size, self.window = kernel_size, window
        self.local = nn.Parameter(torch.randn(hidden, channels * kernel_size) * (channels * kernel_size) ** -0.5)
        self.context = nn.Parameter(torch.randn(hidden, channels) * channels ** -0.5)
        self.expand = nn.Parameter(torch.zeros(channels, hidden))

    def forward(self, frames: Tensor, clip_shape: tuple[int, int], past: Tensor | None) -> tuple[Tensor, Tensor, None]:
        """Apply the operator: see :class:`~tsm_det.sites.Operator`."""
        descriptors = with_ones(frames.mean((2, 3), keepdim=True)).unflatten(0, clip_shape)
        extended, present = with_past(descriptors, past, self.window - 1)
        recent = extended.flatten(2).unfold(1, self.window, 1).flatten(0, 1)  # (N*T, C + 1, window)
        mean = recent[:, :-1].sum(2) / recent[:, -1:].sum(2)
        hidden = F.linear(recent[:, :-1, -self.kernel_size:].flatten(1), self.local) + F.linear(mean, self.context)
        scale = F.linear(hidden.relu(), self.expand)[:, :, None, None]
        return frames + frames * scale, present, None
