"""The temporal shift: the one operation this project is about. Imports nothing but torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class ShiftState(NamedTuple):
    """The pasts of all sites of a network, one tensor ``(N, C_shift, H, W)`` per site, in forward order.

    More fields may come: walk a state with :func:`map_state`, never by position.
    """

    backbone: tuple[Tensor, ...]
    neck: tuple[Tensor, ...]


def map_state(fn: Callable[..., Tensor], *states: ShiftState) -> ShiftState:
    """Apply ``fn`` to the tensors that the states hold at the same site.

    Args:
        fn: takes one tensor of each state and gives the tensor of the result.
        states: at least one; all with the same number of sites.

    Raises:
        ValueError: the states do not have the same sites.
    """
    return ShiftState(*(
        tuple(fn(*tensors) for tensors in zip(*pasts, strict=True))
        for pasts in zip(*states, strict=True)))


def pasts_by_site(sites: Sequence, past: Sequence[Tensor], part: str) -> dict:
    """Give each site its past, None for all at the start of a stream.

    Raises:
        ValueError: the number of pasts is neither 0 nor the number of sites.
    """
    if len(past) not in (0, len(sites)):
        raise ValueError(f'past has {len(past)} tensors but the {part} has {len(sites)} sites: '
                         'pass the present that this same network returned, or () to start afresh')
    return dict(zip(sites, past or [None] * len(sites), strict=True))


def temporal_shift(clip: Tensor, past: Tensor | None, num_shifted: int) -> tuple[Tensor, Tensor]:
    """Give each frame the first channels of the frame before it.

    The online (uni-directional) shift of Lin, Gan, Han, "TSM: Temporal Shift Module for Efficient
    Video Understanding", ICCV 2019, section 4.2. A clip may be cut anywhere: shifting its pieces in
    turn, each with the past that the piece before it returned, gives the shifted clip.

    Args:
        clip: ``(N, T, C, H, W)``, oldest frame first.
        past: ``(N, num_shifted, H, W)``, those channels of the frame before the clip, not shifted;
            None at the start of a stream, which reads as zeros.
        num_shifted: how many leading channels move, 1 to C.

    Returns:
        The shifted clip, shaped like ``clip``, and the past of the next clip, which owns its memory.

    Raises:
        ValueError: the clip is not 5-D, ``num_shifted`` is out of range, or ``past`` does not fit.
    """
    return _shift(clip, past, num_shifted, one_reader=False)


def _shift(clip: Tensor, past: Tensor | None, num_shifted: int, one_reader: bool) -> tuple[Tensor, Tensor]:
    _check_shape(clip.shape, num_shifted)
    past = _fitting(past, clip[:, -1, :num_shifted])
    if not torch.compiler.is_compiling():
        return _CopyAndMove.apply(clip, past, num_shifted, one_reader)
    # A compiler differentiates by itself, and a graph on disk reads better without writes.
    moving, still = clip[:, :, :num_shifted], clip[:, :, num_shifted:]
    delayed = torch.cat([past.unsqueeze(1), moving[:, :-1]], dim=1)
    return torch.cat([delayed, still], dim=2), moving[:, -1].clone()


class _CopyAndMove(torch.autograd.Function):
    """One copy of the clip each way; what autograd makes of slices and a concatenation is four times as many.

    With ``one_reader``, a single convolution reads the result: the gradient that it gives is written to, not copied.
    """

    @staticmethod
    def forward(ctx, clip: Tensor, past: Tensor, num_shifted: int, one_reader: bool) -> tuple[Tensor, Tensor]:
        ctx.num_shifted, ctx.one_reader = num_shifted, one_reader
        shifted = clip.clone()
        shifted[:, 0, :num_shifted] = past
        shifted[:, 1:, :num_shifted] = clip[:, :-1, :num_shifted]
        # A view would keep the whole feature map alive; the clone holds the shifted channels only.
        return shifted, clip[:, -1, :num_shifted].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, shifted: Tensor, present: Tensor) -> tuple[Tensor, Tensor, None, None]:
        moved = shifted[:, :, :ctx.num_shifted].clone()
        clip = shifted if ctx.one_reader and _are_apart([shifted.flatten(0, 1)]) else shifted.clone()
        clip[:, :-1, :ctx.num_shifted] = moved[:, 1:]
        clip[:, -1, :ctx.num_shifted] = present
        return clip, moved[:, 0], None, None


class Shifted:
    """The shift at some sites for as long as a ``with`` block reads what is shifted.

    ``with Shifted(maps, T, pasts, shift_div) as (shifted, presents):`` gives what :func:`temporal_shift` gives. Where
    nothing is to be differentiated, the channels change places in the maps' own memory and are put back at the end
    of the block, bit for bit: an eighth of a map moves, three times, instead of all of it once. What is shifted is for
    one convolution a site to read.

    Args:
        maps: one ``(N*T, C, H, W)`` a site, time folded into the batch.
        num_frames: T.
        pasts: one ``(N, C // shift_div, H, W)`` a site, or None at the start of the streams.
        shift_div: one channel in ``shift_div`` moves.
    """

    def __init__(self, maps: Sequence[Tensor], num_frames: int, pasts: Sequence[Tensor | None], shift_div: int) -> None:
        self.maps, self.num_frames, self.pasts, self.shift_div = maps, num_frames, pasts, shift_div
        self.moved: list[tuple[Tensor, Tensor]] = []

    def __enter__(self) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        shift = self._exchange if _may_write(self.maps) else self._copy
        shifted, presents = [], []
        try:
            for frames, past in zip(self.maps, self.pasts, strict=True):
                inside, present = shift(frames, past, frames.shape[1] // self.shift_div)
                shifted.append(inside)
                presents.append(present)
        except BaseException:  # of one map, most likely a past that does not fit: those before it are put back
            self.__exit__()
            raise
        return shifted, tuple(presents)

    def __exit__(self, *_: object) -> None:
        for moving, moved in self.moved:
            moving.copy_(moved)

    def _copy(self, frames: Tensor, past: Tensor | None, num_shifted: int) -> tuple[Tensor, Tensor]:
        clip, present = _shift(frames.unflatten(0, (-1, self.num_frames)), past, num_shifted, one_reader=True)
        return clip.flatten(0, 1), present

    def _exchange(self, frames: Tensor, past: Tensor | None, num_shifted: int) -> tuple[Tensor, Tensor]:
        # On small maps a call costs more than what it does, so a single frame takes as few as can be.
        moving = frames[:, :num_shifted]
        moved = moving.clone()
        self.moved.append((moving, moved))
        if self.num_frames == 1 and num_shifted and frames.ndim == 4:
            _check_past(past, moved)
            present, delayed = moved, past
        else:  # clips, and what is refused
            present, delayed = self._delayed(frames.shape, past, moved)
        if delayed is None:
            moving.zero_()
        else:
            moving.copy_(delayed)
        return frames, present

    def _delayed(self, shape: Sequence[int], past: Tensor | None, moved: Tensor) -> tuple[Tensor, Tensor]:
        """The present, and what takes the place of the channels ``moved`` of clips of any length."""
        _check_shape((shape[0] // max(self.num_frames, 1), self.num_frames, *shape[1:]), moved.shape[1])
        clip = moved.unflatten(0, (-1, self.num_frames))
        present = clip[:, -1].clone()
        return present, torch.cat([_fitting(past, present).unsqueeze(1), clip[:, :-1]], dim=1).flatten(0, 1)


def _may_write(maps: Sequence[Tensor]) -> bool:
    """Whether maps may be written to for a while: autograd keeps what a convolution has read."""
    if torch.is_grad_enabled():
        return False
    if torch.compiler.is_compiling():  # a compiler knows itself what shares memory, and has no addresses to look at
        return not torch.compiler.is_exporting()
    return _are_apart(maps)


def _are_apart(maps: Sequence[Tensor]) -> bool:
    """Whether no two elements of the maps share a place in memory."""
    for frames in maps:
        if not (frames.is_contiguous() or frames.is_contiguous(memory_format=torch.channels_last)):
            return False
    return len(maps) == 1 or len({frames.untyped_storage().data_ptr() for frames in maps}) == len(maps)


def _fitting(past: Tensor | None, present: Tensor) -> Tensor:
    """The past as ``present`` is: zeros for None, its device, its type."""
    if past is None:
        return torch.zeros_like(present)
    _check_past(past, present)
    return past.to(device=present.device, dtype=present.dtype)


def _check_past(past: Tensor | None, present: Tensor) -> None:
    if past is not None and past.shape != present.shape:
        raise ValueError(
            f'past is {tuple(past.shape)} but the clip needs {tuple(present.shape)} (N, C_shift, H, W): '
            'start this stream afresh or keep its frame size fixed')


def _check_shape(shape: Sequence[int], num_shifted: int) -> None:
    if len(shape) != 5:
        raise ValueError(
            f'clip is {tuple(shape)} but (N, T, C, H, W) is needed: '
            'give frames a time dimension, frames.unflatten(0, (N, T))')
    if shape[1] == 0:
        raise ValueError(
            f'clip is {tuple(shape)} but at least one frame (N, T >= 1, C, H, W) is needed: skip empty clips')
    if not 1 <= num_shifted <= shape[2]:
        raise ValueError(
            f'num_shifted is {num_shifted} but the clip has {shape[2]} channels and 1 to '
            f'{shape[2]} may move: choose a shift_div between 1 and the number of channels')
