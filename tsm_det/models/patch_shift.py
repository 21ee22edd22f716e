"""Temporal patch shift: what windows of an attention take from other frames. Imports only torch.

Xiang et al., "Spatiotemporal Self-attention Modeling with Temporal Patch Shift for Action Recognition", ECCV 2022. Even
blocks shift channels, odd blocks patches. Windows come as ``(N*T*nW, C, 1, L)``: nW windows per frame, L patches each.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import isqrt

import torch
from torch import Tensor, nn

from tsm_det.errors import InputError
from tsm_det.models.operators.recent_frames import with_ones, with_past
from tsm_det.shift import fit_past
from tsm_det.sites import Site, bound_clip_shape

# By row and column of a patch in its window, modulo 3: how many frames before the present its source is.
DELAYS = ((-4, 1, 2), (-1, 0, 3), (-2, -3, 4))


class ChannelShift:
    """Channels of neighbouring frames, as published (section 3): for whole clips.

    In each head the first channels come from the frame before, and as many after them from the frame to come. The first
    and the last frame keep theirs.

    Args:
        num_heads: number of heads that the channels are of.
        shift_div: one channel in ``shift_div`` comes from each side.
    """

    def __init__(self, num_heads: int, shift_div: int) -> None:
        self.num_heads, self.shift_div = num_heads, shift_div

    def __call__(self, windows: Tensor, clip_shape: tuple[int, int],
                 past: Tensor | None) -> tuple[Tensor, Tensor, None]:
        """Apply the operator: see :class:`~tsm_det.sites.Operator`."""
        clip = _heads(windows, self.num_heads).unflatten(0, (*clip_shape, -1))
        count = clip.shape[-3] // self.shift_div
        shifted = clip.clone()
        shifted[:, 1:, ..., :count, :, :] = clip[:, :-1, ..., :count, :, :]
        shifted[:, :-1, ..., count:2 * count, :, :] = clip[:, 1:, ..., count:2 * count, :, :]
        return shifted.flatten(0, 2).flatten(1, 2), _no_memory(clip, past), None


class CausalChannelShift(ChannelShift):
    """The half of :class:`ChannelShift` that looks back. The past holds the moving channels of the frame before."""

    def __call__(self, windows: Tensor, clip_shape: tuple[int, int],
                 past: Tensor | None) -> tuple[Tensor, Tensor, None]:
        """Apply the operator: see :class:`~tsm_det.sites.Operator`."""
        shifted = windows.clone()
        frames = _heads(shifted, self.num_heads).unflatten(0, (clip_shape[0] * clip_shape[1], -1))
        moving = frames[..., :frames.shape[-3] // self.shift_div, :, :]
        delayed, present = _delayed(moving, clip_shape, past, 1)
        moving.copy_(delayed)
        return shifted, present, None


class _RoundTrip(Site):
    """A site whose operator also acts on the output of the module, by its method ``back``."""

    operator: PatchShift

    def _leave(self, _module: nn.Module, _inputs: tuple, output: Tensor) -> Tensor:
        return self.operator.back(output, bound_clip_shape())


class PatchShift:
    """Patches of other frames, as published (section 3): for whole clips.

    Before the attention a patch comes from ``DELAYS`` frames before, circular in time; after it, it goes back.
    """

    site = _RoundTrip

    def __call__(self, windows: Tensor, clip_shape: tuple[int, int],
                 past: Tensor | None) -> tuple[Tensor, Tensor, None]:
        """Apply the operator: see :class:`~tsm_det.sites.Operator`."""
        clip = windows.unflatten(0, (*clip_shape, -1))
        return _rolled(clip, 1).flatten(0, 2), _no_memory(clip, past), None

    def back(self, tokens: Tensor, clip_shape: tuple[int, int]) -> Tensor:
        """Return the patches ``(N*T*nW, L, C)`` to their frames."""
        return _rolled(tokens.transpose(1, 2).unflatten(0, (*clip_shape, -1)), -1).flatten(0, 2).transpose(1, 2)


class _AfterProjection(Site):
    """A site at the queries, keys and values of an attention, ``(N*T*nW, L, 3C)``."""

    def attach(self, module: nn.Module) -> None:
        module.get_submodule('qkv').register_forward_hook(self._replace)

    def _replace(self, _module: nn.Module, _inputs: tuple, output: Tensor) -> Tensor | None:
        return self._apply(output)


class CausalPatchShift:
    """Keys and values of patches from the absolute value of ``DELAYS`` frames before.

    Queries are the present's, so nothing goes back. For each row and column modulo 3, the past holds keys and values of
    as many frames as their delay, and a one per frame seen: ``(N, K)``, where K is about 4.6 C per patch.
    """

    site = _AfterProjection

    def __call__(self, windows: Tensor, clip_shape: tuple[int, int],
                 past: Tensor | None) -> tuple[Tensor, Tensor, None]:
        """Apply the operator: see :class:`~tsm_det.sites.Operator`."""
        shifted = windows.clone()
        frames = shifted.unflatten(0, (clip_shape[0] * clip_shape[1], -1))
        keys_values = frames[:, :, windows.shape[1] // 3:]
        moving = [(abs(delay), patches) for delay, patches in _by_delay(keys_values) if delay]
        sizes = [delay * (patches[0].numel() + 1) for delay, patches in moving]
        past = fit_past(past, windows.new_zeros(1).expand(clip_shape[0], sum(sizes)))
        presents = []
        for (delay, patches), before in zip(moving, past.split(sizes, dim=1), strict=True):
            delayed, present = _delayed(patches, clip_shape, before, delay)
            patches.copy_(delayed)
            presents.append(present)
        return shifted, torch.cat(presents, dim=1), None


def _heads(windows: Tensor, num_heads: int) -> Tensor:
    return windows.unflatten(1, (num_heads, -1))


def _by_delay(windows: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Views of the patches of windows ``(..., L)``, by row and column modulo 3, with their delay."""
    side = isqrt(windows.shape[-1])
    grid = windows.unflatten(-1, (side, side))
    for row, col in product(range(3), repeat=2):
        yield DELAYS[row][col], grid[..., row::3, col::3]


def _delayed(moving: Tensor, clip_shape: tuple[int, int], past: Tensor | None, delay: int) -> tuple[Tensor, Tensor]:
    """A part of the frames ``(N*T, ...)`` as it was ``delay`` frames before, and the present.

    Where a stream had no frame then, the part is the present frame's.
    """
    now = moving.flatten(1)
    extended, present = with_past(with_ones(now).unflatten(0, clip_shape), past, delay)
    before, was_seen = extended[:, :clip_shape[1]].flatten(0, 1).split([now.shape[1], 1], dim=1)
    return torch.where(was_seen > 0, before, now).view(moving.shape), present


def _rolled(clip: Tensor, sign: int) -> Tensor:
    """Patches of ``(N, T, nW, C, ..., L)`` from ``sign * DELAYS`` frames before, circular in time."""
    shifted = clip.clone()
    for delay, patches in _by_delay(shifted):
        patches.copy_(patches.roll(sign * delay, dims=1))
    return shifted


def _no_memory(clip: Tensor, past: Tensor | None) -> Tensor:
    """A present of N rows without elements; InputError when there is a past."""
    if past is not None:
        raise InputError("direction='both' looks at frames to come but came with a past: pass whole clips without one, "
                         "or set direction='past' for streams")
    return clip.new_zeros(len(clip), 0)
