"""The temporal shift without copying feature maps. Imports only torch."""

from __future__ import annotations

import torch
from torch import Tensor

from tsm_det.shift import check_clip, check_past, fit_past, temporal_shift

Undo = tuple[Tensor, Tensor]  # a part of a map, and its original values


class Shift:
    """The temporal shift as an operator of a site: one channel in ``shift_div`` comes from the previous frame."""

    def __init__(self, shift_div: int) -> None:
        self.shift_div = shift_div

    def __call__(self, frames: Tensor, clip_shape: tuple[int, int],
                 past: Tensor | None) -> tuple[Tensor, Tensor, Undo | None]:
        return shift_in_place(frames, clip_shape[1], past, frames.shape[1] // self.shift_div)


def shift_in_place(frames: Tensor, num_frames: int, past: Tensor | None,
                   num_shifted: int) -> tuple[Tensor, Tensor, Undo | None]:
    """Shift a map like :func:`temporal_shift`, bit for bit, but move only the shifted channels.

    :func:`temporal_shift` itself runs, on a copy, while autograd or a tracer records, and on a map whose elements may
    share memory.

    Args:
        frames: ``(N*T, C, H, W)``, time folded into the batch.
        num_frames: T.
        past: ``(N, num_shifted, H, W)``, or None at the start of the streams.
        num_shifted: how many leading channels move.

    Returns:
        The shifted map, the present, and what restores ``frames`` by :func:`undo`; None if they were copied.

    Raises:
        ValueError: see :func:`temporal_shift`; ``frames`` are unchanged.
    """
    if not _may_write(frames):
        clip, present = temporal_shift(frames.unflatten(0, (-1, num_frames)), past, num_shifted)
        return clip.flatten(0, 1), present, None
    moving = frames[:, :num_shifted]
    original = moving.clone()
    if num_frames == 1 and num_shifted and frames.ndim == 4:  # on small maps each call counts: make few
        if past is not None:
            check_past(past, original)
        moving.zero_() if past is None else moving.copy_(past)
        return frames, original, (moving, original)
    check_clip((-1, num_frames, *frames.shape[1:]), num_shifted)
    clip = original.unflatten(0, (-1, num_frames))
    present = clip[:, -1].clone()
    moving.copy_(torch.cat([fit_past(past, present).unsqueeze(1), clip[:, :-1]], dim=1).flatten(0, 1))
    return frames, present, (moving, original)


def undo(shift: Undo | None) -> None:
    """Restore the map of a :func:`shift_in_place`."""
    if shift is not None:
        shift[0].copy_(shift[1])


def _may_write(frames: Tensor) -> bool:
    """Whether nothing records reads of the map and its elements do not share memory."""
    return not (torch.is_grad_enabled() or torch.compiler.is_compiling()) and (
        frames.is_contiguous() or frames.is_contiguous(memory_format=torch.channels_last))
