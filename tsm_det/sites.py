"""Sites: hooks that put a temporal operator before a module, and the tape that holds pasts. Imports only torch."""

from __future__ import annotations

import re
import threading
from collections.abc import Hashable, Iterable, Sequence
from functools import cache
from typing import Protocol

import torch.utils.checkpoint
from torch import Tensor, nn

from tsm_det.errors import InputError
from tsm_det.shift_inplace import Undo, undo


class TemporalModule(Protocol):
    """A backbone or neck with sites.

    ``sites`` are the ids of its sites in the order of their pasts. ``forward_clip`` takes a clip (a backbone) or
    features and T (a neck), and the pasts, ``()`` at the start; it returns features and presents. ``signature()``
    returns everything that gives a past its meaning, besides the weights, as plain values. ``direction`` is 'past', or
    'both' if its sites read the future too; ``reach`` says how many frames away a frame can change the features.
    """

    sites: tuple[Hashable, ...]
    direction: str
    reach: int

    def forward_clip(self, *inputs: object) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]: ...

    def signature(self) -> tuple: ...


class Operator(Protocol):
    """What a site does with maps ``(N*T, C, H, W)``.

    It takes the maps, (N, T), and the past, None at the start of the streams. It returns the new maps; the present,
    with N rows, which owns its memory; and, if it wrote into the maps, what restores them, else None. Its attribute
    ``site``, if it has one, is the kind of :class:`Site` that it needs.
    """

    def __call__(self, frames: Tensor, clip_shape: tuple[int, int],
                 past: Tensor | None, /) -> tuple[Tensor, Tensor, Undo | None]: ...


class _Bound(threading.local):
    tape: Tape | None = None


_bound = _Bound()


class Tape:
    """Context manager: holds the pasts and presents of a network's sites during one pass through it.

    Args:
        num_sites: number of sites of the network.
        clip_shape: N streams and T frames per clip.
        past: one tensor per site, or ``()`` at the start of the streams.

    Raises:
        ValueError: the number of pasts is neither 0 nor the number of sites.
    """

    def __init__(self, num_sites: int, clip_shape: tuple[int, int], past: Sequence[Tensor]) -> None:
        if len(past) not in (0, num_sites):
            raise InputError(f'past has {len(past)} tensors but the network has {num_sites} sites: pass the present '
                             'that this network returned, or () to reset the stream')
        self.clip_shape = clip_shape
        self.pasts: list[Tensor | None] = [*past] or [None] * num_sites
        self.presents: list[Tensor | None] = [None] * num_sites
        self.shifted: dict[int, Undo] = {}
        self.is_replayed = False

    def __enter__(self) -> Tape:
        self._outer, _bound.tape = _bound.tape, self
        return self

    def __exit__(self, *_: object) -> None:
        _bound.tape = self._outer
        for shift in self.shifted.values():  # of modules that failed
            undo(shift)

    def present(self, names: Sequence[str]) -> tuple[Tensor, ...]:
        """Return the presents of all sites; raise RuntimeError when one was not reached."""
        presents = tuple(present for present in self.presents if present is not None)
        if len(presents) < len(self.presents):
            missing = [name for name, present in zip(names, self.presents, strict=True) if present is None]
            raise RuntimeError(f'the forward pass did not reach {", ".join(missing)}: leave these sites out by '
                               'shift_stages or shift_levels')
        return presents


def is_recording() -> bool:
    """Whether a tape is bound in this thread."""
    return _bound.tape is not None


def bound_tape() -> Tape | None:
    """The tape that is bound in this thread."""
    return _bound.tape


def bound_clip_shape() -> tuple[int, int]:
    """N and T of the tape that is bound in this thread."""
    assert _bound.tape is not None
    return _bound.tape.clip_shape


class Site:
    """Applies an operator to the input of a module, and restores the input after the module.

    A map is ``(N*T, C, H, W)``, or tokens ``(N*T, L, C)``.

    Args:
        index: place of the site among those of its network.
        name: the module's, for messages.
        operator: see :class:`Operator`.
    """

    def __init__(self, index: int, name: str, operator: Operator) -> None:
        self.index, self.name, self.operator = index, name, operator

    def attach(self, module: nn.Module) -> None:
        """Add the hooks to the module."""
        module.register_forward_pre_hook(self._enter)
        module.register_forward_hook(self._leave)

    def _enter(self, _module: nn.Module, inputs: tuple) -> tuple | None:
        changed = self._apply(inputs[0])
        return None if changed is None else (changed, *inputs[1:])

    def _apply(self, frames: Tensor) -> Tensor | None:
        """The new map; None if the operator wrote into the old one."""
        tape, index = _bound.tape, self.index
        if tape is None:
            raise RuntimeError(f'{self.name} has a temporal site but ran outside forward_clip: call the whole network')
        if tape.presents[index] is not None and not tape.is_replayed:
            raise RuntimeError(f'{self.name} has a temporal site but ran twice in one pass: leave it out by '
                               'shift_stages or shift_levels')
        tokens = frames.ndim == 3
        if tokens:
            frames = frames.transpose(1, 2).unsqueeze(2)
        shifted, tape.presents[index], change = self.operator(frames, tape.clip_shape, tape.pasts[index])
        if change is not None:
            tape.shifted[index] = change
            return None
        return shifted.squeeze(2).transpose(1, 2) if tokens else shifted

    def _leave(self, _module: nn.Module, _inputs: tuple, output: Tensor) -> Tensor | None:
        assert _bound.tape is not None
        undo(_bound.tape.shifted.pop(self.index, None))
        return None


class _Checkpointed(nn.Module):
    """Mixin: a block that recomputes its activations in the backward pass, with its part of the tape.

    mmdet's own checkpoint would run the second time after the tape is gone.
    """

    def forward(self, frames: Tensor, *args: object, **kwargs: object) -> Tensor:
        if not (torch.is_grad_enabled() and frames.requires_grad):
            return super().forward(frames, *args, **kwargs)
        tape = _bound.tape

        def run(frames: Tensor) -> Tensor:
            if tape is None or _bound.tape is tape:
                return super(_Checkpointed, self).forward(frames, *args, **kwargs)
            tape.is_replayed = True
            with tape:
                return super(_Checkpointed, self).forward(frames, *args, **kwargs)

        return torch.utils.checkpoint.checkpoint(run, frames, use_reentrant=False)

    def __reduce__(self) -> tuple:
        return _new_checkpointed, (type(self).__mro__[2],), self.__dict__


@cache
def _checkpointed(block: type) -> type[nn.Module]:
    return type(f'Checkpointed{block.__name__}', (_Checkpointed, block), {})


def _new_checkpointed(block: type) -> nn.Module:
    return nn.Module.__new__(_checkpointed(block))


def longest_path(pattern: str, names: Iterable[str]) -> int:
    """The most sites on a path through a network, each of which brings in one more frame.

    Sites are in sequence, except that those which differ only in the group ``branch`` of the pattern run in parallel.

    Args:
        pattern: regular expression that matches each name as a whole.
        names: of the modules behind the sites.
    """
    branch = re.compile(pattern).groupindex.get('branch')
    return len({tuple(number for group, number in enumerate(match.groups(), 1) if group != branch)
                for name in names if (match := re.fullmatch(pattern, name))})


def attach_sites(network: nn.Module, names: Sequence[str], operators: Iterable[Operator]) -> None:
    """Put a site in front of each named module, in this order; the blocks around them keep ``with_cp``."""
    modules = dict(network.named_modules())
    for index, (name, operator) in enumerate(zip(names, operators, strict=True)):
        getattr(operator, 'site', Site)(index, name, operator).attach(modules[name])
        parts = name.split('.')
        around = (modules['.'.join(parts[:depth])] for depth in reversed(range(1, len(parts))))
        block = next((module for module in around if hasattr(module, 'with_cp')), None)
        if block is not None and block.with_cp:
            block.with_cp = False
            block.__class__ = _checkpointed(type(block))  # type: ignore[arg-type]
