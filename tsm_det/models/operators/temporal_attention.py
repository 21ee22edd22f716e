"""Causal attention over time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsm_det.models.operators.recent_frames import with_ones, with_past


class TemporalAttention(nn.Module):
    """Adds what each place of the map attends to in its own past.

    A query of the present frame meets keys and values of the last ``window`` frames at the same place. Frame by frame,
    past keys and values are read, never computed again, as in Continual Transformers (Hedegaard et al., ICLR 2023,
    section 3.3, single-output attention). A learned bias per delay is the position. The past holds ``window - 1`` maps
    of ``2 C / reduction + 1`` channels.

    Args:
        channels: C.
        window: number of frames, the present one included.
        reduction: how many times fewer channels keys and values have.
    """

    def __init__(self, channels: int, window: int = 4, reduction: int = 8) -> None:
        super().__init__()
        self.window, self.width = window, max(1, channels // reduction)
        self.project = nn.Parameter(torch.randn(3 * self.width, channels, 1, 1) * channels ** -0.5)
        self.delay_bias = nn.Parameter(torch.zeros(window, 1, 1))
        self.expand = nn.Parameter(torch.zeros(channels, self.width, 1, 1))

    def forward(self, frames: Tensor, clip_shape: tuple[int, int], past: Tensor | None) -> tuple[Tensor, Tensor, None]:
        """Apply the operator: see :class:`~tsm_det.sites.Operator`."""
        query, keys_and_values = F.conv2d(frames, self.project).split([self.width, 2 * self.width], dim=1)
        extended, present = with_past(with_ones(keys_and_values).unflatten(0, clip_shape), past, self.window - 1)
        recent = torch.stack([extended[:, first:first + clip_shape[1]] for first in range(self.window)], dim=2)
        keys, values, was_seen = recent.flatten(0, 1).split([self.width, self.width, 1], dim=2)
        scores = (query.unsqueeze(1) * keys).sum(2) * self.width ** -0.5 + self.delay_bias
        weights = scores.masked_fill(was_seen.squeeze(2) == 0, -torch.inf).softmax(1)
        attended = (weights.unsqueeze(2) * values).sum(1).to(frames.dtype)
        return frames + F.conv2d(attended, self.expand), present, None
