"""Ways to run a detector: the same detections, in less time. See docs/engines.md for when to use which."""

from __future__ import annotations

import torch
from torch import nn

from tsm_det.engines.compiling import compiled
from tsm_det.engines.folding import fast
from tsm_det.errors import InputError
from tsm_det.malloc import keep_freed_memory

ENGINES = ('eager', 'fast', 'fast-bf16', 'compiled', 'compiled-bf16')


def check_engine(name: str) -> None:
    """Raise InputError when a name is none of ``ENGINES``."""
    if name not in ENGINES:
        raise InputError(f'the engine is {name} but one of {", ".join(ENGINES)} is needed: name one of them')


def with_engine(model: nn.Module, name: str = 'eager') -> nn.Module:
    """A detector that runs by an engine; the model given stays as it is.

    On a processor all but ``eager`` also have the process keep the memory that it frees.

    Args:
        model: a TSMFasterRCNN, on its device.
        name: one of ``ENGINES``. ``eager`` is the model itself, the reference; ``fast`` and ``compiled`` are float32;
            ``-bf16`` computes the convolutions in bfloat16, whose detections differ a little.

    Returns:
        The detector; ``engine`` is its engine's name, of all but ``eager``.

    Raises:
        InputError: there is no such engine, or the detector has a part that it does not cover.
    """
    check_engine(name)
    if name == 'eager':
        return model
    if next(model.parameters()).device.type == 'cpu':
        keep_freed_memory()
    kind, _, precision = name.partition('-')
    model = fast(model, torch.bfloat16 if precision else torch.float32)
    model.engine = name
    return compiled(model) if kind == 'compiled' else model
