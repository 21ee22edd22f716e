"""The temporal shift without copying feature maps. Imports only torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tsm_det.shift import check_clip, check_past, fit_past, temporal_shift


class shift_in_place:
    """Context manager: shift feature maps in place and restore them on exit.

    ``with shift_in_place(maps, T, pasts, shift_div) as (shifted, presents):`` gives what :func:`temporal_shift`
    gives, bit for bit, and moves only the shifted channels: a convolution may read ``shifted`` inside the block.
    :func:`temporal_shift` itself runs where autograd or a tracer watches, and on maps that share memory.

    Args:
        maps: one ``(N*T, C, H, W)`` per site, time folded into the batch.
        num_frames: T.
        pasts: one ``(N, C // shift_div, H, W)`` per site, or None at the start of the streams.
        shift_div: one channel in ``shift_div`` moves.

    Raises:
        ValueError: see :func:`temporal_shift`.
    """

    def __init__(self, maps: Sequence[Tensor], num_frames: int, pasts: Sequence[Tensor | None], shift_div: int) -> None:
        self.maps, self.num_frames, self.pasts, self.shift_div = maps, num_frames, pasts, shift_div
        self.saved: list[tuple[Tensor, Tensor]] = []

    def __enter__(self) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        shift = self._exchange if _may_write(self.maps) else self._copy
        shifted, presents = [], []
        try:
            for frames, past in zip(self.maps, self.pasts, strict=True):
                inside, present = shift(frames, past, frames.shape[1] // self.shift_div)
                shifted.append(inside)
                presents.append(present)
        except BaseException:  # of one map: restore those before it
            self.__exit__()
            raise
        return shifted, tuple(presents)

    def __exit__(self, *_: object) -> None:
        for moving, original in self.saved:
            moving.copy_(original)

    def _copy(self, frames: Tensor, past: Tensor | None, num_shifted: int) -> tuple[Tensor, Tensor]:
        clip, present = temporal_shift(frames.unflatten(0, (-1, self.num_frames)), past, num_shifted)
        return clip.flatten(0, 1), present

    def _exchange(self, frames: Tensor, past: Tensor | None, num_shifted: int) -> tuple[Tensor, Tensor]:
        moving = frames[:, :num_shifted]
        original = moving.clone()
        self.saved.append((moving, original))
        if self.num_frames == 1 and num_shifted and frames.ndim == 4:  # on small maps each call counts: make few
            if past is None:
                moving.zero_()
            else:
                check_past(past, original)
                moving.copy_(past)
            return frames, original
        check_clip((-1, self.num_frames, *frames.shape[1:]), num_shifted)
        clip = original.unflatten(0, (-1, self.num_frames))
        present = clip[:, -1].clone()
        moving.copy_(torch.cat([fit_past(past, present).unsqueeze(1), clip[:, :-1]], dim=1).flatten(0, 1))
        return frames, present


def _may_write(maps: Sequence[Tensor]) -> bool:
    """Whether nobody records reads of the maps and no two of their elements share memory."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    for frames in maps:
        if not (frames.is_contiguous() or frames.is_contiguous(memory_format=torch.channels_last)):
            return False
    return len(maps) == 1 or len({frames.untyped_storage().data_ptr() for frames in maps}) == len(maps)
