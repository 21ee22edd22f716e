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
    _check_clip(clip, num_shifted)
    moving, still = clip[:, :, :num_shifted], clip[:, :, num_shifted:]
    # A view would keep the whole feature map alive; the clone holds the shifted channels only.
    present = moving[:, -1].clone()
    if past is None:
        past = torch.zeros_like(present)
    elif past.shape != present.shape:
        raise ValueError(
            f'past is {tuple(past.shape)} but the clip needs {tuple(present.shape)} (N, C_shift, H, W): '
            'start this stream afresh or keep its frame size fixed')
    past = past.to(device=clip.device, dtype=clip.dtype)
    delayed = torch.cat([past.unsqueeze(1), moving[:, :-1]], dim=1)
    return torch.cat([delayed, still], dim=2), present


def _check_clip(clip: Tensor, num_shifted: int) -> None:
    if clip.ndim != 5:
        raise ValueError(
            f'clip is {tuple(clip.shape)} but (N, T, C, H, W) is needed: '
            'give frames a time dimension, frames.unflatten(0, (N, T))')
    if clip.shape[1] == 0:
        raise ValueError(
            f'clip is {tuple(clip.shape)} but at least one frame (N, T >= 1, C, H, W) is needed: skip empty clips')
    if not 1 <= num_shifted <= clip.shape[2]:
        raise ValueError(
            f'num_shifted is {num_shifted} but the clip has {clip.shape[2]} channels and 1 to '
            f'{clip.shape[2]} may move: choose a shift_div between 1 and the number of channels')
