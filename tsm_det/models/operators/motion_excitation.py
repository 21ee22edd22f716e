"""Channel attention by motion."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsm_det.models.operators.recent_frames import with_ones, with_past


class MotionExcitation(nn.Module):
    """Scales channels by what changed since the previous frame.

    The motion excitation of TEA (Li et al., CVPR 2020, section 3.1) without its batch norms, and causal: TEA subtracts
    a frame from the one after it, we the one before from a frame. The first frame of a stream has no motion. The past
    holds one map of ``C / reduction + 1`` channels. Neighbours of a token are those in the row of tokens.

    Args:
        channels: C.
        reduction: how many times fewer channels motion is computed in.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Parameter(torch.randn(hidden, channels, 1, 1) * channels ** -0.5)
        self.transform = nn.Parameter(torch.randn(hidden, 1, 3, 3) / 3)
        self.expand = nn.Parameter(torch.zeros(channels, hidden, 1, 1))

    def forward(self, frames: Tensor, clip_shape: tuple[int, int], past: Tensor | None) -> tuple[Tensor, Tensor, None]:
        """Apply the operator: see :class:`~tsm_det.sites.Operator`."""
        squeezed = F.conv2d(frames, self.squeeze)
        extended, present = with_past(with_ones(squeezed).unflatten(0, clip_shape), past, 1)
        before, was_seen = extended[:, :-1].flatten(0, 1).split([len(self.squeeze), 1], dim=1)
        now = F.conv2d(squeezed, self.transform, padding=1, groups=len(self.squeeze))
        motion = (was_seen * (now - before)).mean((2, 3), keepdim=True)
        gate = F.conv2d(motion, self.expand).sigmoid() - 0.5
        return frames + frames * gate, present, None
