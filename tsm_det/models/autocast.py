"""Autocast for convolutions on maps, never for boxes: a box at 1000 px moves in steps of 4 px in bfloat16."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn


class _Autocast(threading.local):
    map_type: torch.dtype | None = None  # that of the autocast around ``only_on_maps``
    head: AbstractContextManager | None = None  # while a head of ``head_on_maps`` runs


_outer = _Autocast()


@contextmanager
def only_on_maps(device: str) -> Iterator[None]:
    """Context manager: limits an autocast to the parts in :func:`on_maps` and the heads of :func:`head_on_maps`."""
    outer = _outer.map_type
    _outer.map_type = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    try:
        with torch.autocast(device, enabled=False):
            yield
    finally:
        _outer.map_type = outer


def on_maps(device: str) -> AbstractContextManager:
    """Context manager: inside :func:`only_on_maps` the outer autocast, if there is one, holds again."""
    return torch.autocast(device, _outer.map_type) if _outer.map_type else nullcontext()


def in_float32(levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Maps computed in :func:`on_maps`; unchanged elsewhere."""
    return tuple(level.float() for level in levels) if _outer.map_type else tuple(levels)


def head_on_maps(head: nn.Module) -> None:
    """Let the outer autocast hold for a head of convolutions as in :func:`on_maps`; its outputs are float32."""
    head.register_forward_pre_hook(_enter)
    head.register_forward_hook(_leave, always_call=True)


def _enter(_head: nn.Module, inputs: tuple[Sequence[Tensor]]) -> None:
    _outer.head = on_maps(inputs[0][0].device.type)
    _outer.head.__enter__()


def _leave(_head: nn.Module, _inputs: tuple, outputs: tuple[Sequence[Tensor], ...]) -> tuple[Sequence[Tensor], ...]:
    assert _outer.head is not None
    _outer.head.__exit__(None, None, None)
    return tuple(in_float32(part) for part in outputs) if _outer.map_type and outputs is not None else outputs
