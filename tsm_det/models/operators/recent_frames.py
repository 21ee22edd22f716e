"""The memory that the operators share: what the last few frames left."""

from __future__ import annotations

import torch
from torch import Tensor

from tsm_det.shift import fit_past


def with_past(clip: Tensor, past: Tensor | None, length: int) -> tuple[Tensor, Tensor]:
    """Put what the last ``length`` frames left in front of a clip.

    Args:
        clip: ``(N, T, C, H, W)``.
        past: ``(N, length * C, H, W)``, or None at the start of the streams, which reads as zeros: see
            :func:`with_ones`.
        length: number of frames.

    Returns:
        ``(N, length + T, C, H, W)``, and the past of the next clip, which owns its memory.

    Raises:
        ValueError: the past does not fit.
    """
    batch, _, channels, *size = clip.shape
    past = fit_past(past, clip.new_zeros(batch, length * channels, *size))
    extended = torch.cat([past.unflatten(1, (length, channels)), clip], dim=1)
    return extended, extended[:, -length:].flatten(1, 2).clone()


def with_ones(frames: Tensor) -> Tensor:
    """Add a channel of ones to ``(N*T, C, H, W)``: it says in a past that there was a frame."""
    return torch.cat([frames, torch.ones_like(frames[:, :1])], dim=1)
