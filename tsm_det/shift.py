"""The temporal shift and the state it needs. Imports only torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from tsm_det.errors import InputError


class ShiftState(NamedTuple):
    """The pasts of all sites of a network: one tensor ``(N, C_shift, H, W)`` per site, in forward order.

    ``neck`` leaves out sites that read a map which a site of the backbone reads too: their pasts are the same.
    ``memory`` is the past of a RoI memory, ``()`` without one. More fields may follow: walk a state with
    :func:`map_state`, never by position.
    """

    backbone: tuple[Tensor, ...]
    neck: tuple[Tensor, ...]
    memory: tuple[Tensor, ...] = ()


def map_state(fn: Callable[..., Tensor], *states: ShiftState) -> ShiftState:
    """Apply ``fn`` to the tensors that the states hold at the same site.

    Args:
        fn: takes one tensor of each state and returns the tensor of the result.
        states: at least one, all with the same sites.

    Raises:
        ValueError: the states have different numbers of sites.
    """
    return ShiftState(*(
        tuple(fn(*tensors) for tensors in zip(*pasts, strict=True)) for pasts in zip(*states, strict=True)))


def parts_of(state: ShiftState) -> dict[str, tuple[Tensor, ...]]:
    """The fields of a state by name, without the memory if there is none."""
    return {part: pasts for part, pasts in state._asdict().items() if pasts or part != 'memory'}


def tensors_of(state: ShiftState) -> list[Tensor]:
    """The tensors of a state, in the order of :func:`map_state`."""
    return [tensor for pasts in state for tensor in pasts]


def temporal_shift(clip: Tensor, past: Tensor | None, num_shifted: int) -> tuple[Tensor, Tensor]:
    """Give each frame the first channels of the frame before it.

    The online (uni-directional) shift of Lin, Gan, Han, "TSM: Temporal Shift Module for Efficient Video
    Understanding", ICCV 2019, section 4.2. A clip may be cut anywhere: shift the pieces in turn, each with the past
    that the piece before it returned.

    Args:
        clip: ``(N, T, C, H, W)``, oldest frame first.
        past: ``(N, num_shifted, H, W)``, those channels of the frame before the clip, unshifted;
            None at the start of a stream, which reads as zeros.
        num_shifted: how many leading channels move, 1 to C.

    Returns:
        The shifted clip, shaped like ``clip``, and the past of the next clip, which owns its memory.

    Raises:
        ValueError: the clip is not 5-D or empty, ``num_shifted`` is out of range, or ``past`` does not fit.
    """
    check_clip(clip.shape, num_shifted)
    moving, still = clip[:, :, :num_shifted], clip[:, :, num_shifted:]
    present = moving[:, -1].clone()  # a view would keep the whole feature map alive
    past = fit_past(past, present)
    delayed = torch.cat([past.unsqueeze(1), moving[:, :-1]], dim=1)
    return torch.cat([delayed, still], dim=2), present


def fit_past(past: Tensor | None, present: Tensor) -> Tensor:
    """The past on the device and in the type of ``present``; zeros for None. ValueError if the shapes differ."""
    if past is None:
        return torch.zeros_like(present)
    check_past(past, present)
    return past.to(device=present.device, dtype=present.dtype)


def check_past(past: Tensor, present: Tensor) -> None:
    """Raise ValueError unless the shapes are equal."""
    if past.shape != present.shape:
        raise InputError(f'past is {tuple(past.shape)} but the clip needs {tuple(present.shape)} (N, C_shift, H, W): '
                         'reset this stream, or keep its frame size fixed')


def check_clip(shape: tuple[int, ...], num_shifted: int) -> None:
    """Raise ValueError unless a shape is ``(N, T >= 1, C >= num_shifted, H, W)``."""
    if len(shape) != 5 or shape[1] == 0:
        raise ValueError(f'clip is {tuple(shape)} but (N, T, C, H, W) with at least one frame is required: '
                         'give frames a time dimension by frames.unflatten(0, (N, T)), and skip empty clips')
    if not 1 <= num_shifted <= shape[2]:
        raise ValueError(f'num_shifted is {num_shifted} but must be 1 to {shape[2]}, the channels of the clip: '
                         'choose another shift_div')
