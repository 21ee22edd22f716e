"""Faster ways to run a detector with the same detections; docs/engines.md says when to use which."""

from __future__ import annotations

import torch
from torch import nn

from tsm_det.engines.compiling import CompiledMaps
from tsm_det.engines.folding import fast
from tsm_det.errors import InputError
from tsm_det.malloc import keep_freed_memory

ENGINES = ('eager', 'fast', 'fast-bf16', 'compiled', 'compiled-bf16')


def check_engine(name: str) -> None:
    """Raise InputError when a name is not one of ``ENGINES``."""
    if name not in ENGINES:
        raise InputError(f'the engine is {name} but must be one of {", ".join(ENGINES)}')


def with_engine(model: nn.Module, name: str = 'eager') -> nn.Module:
    """Copy a TSMFasterRCNN, on its device, into one that runs with an engine and has its name as ``engine``.

    ``eager`` returns the model itself. ``-bf16`` computes convolutions in bfloat16, with slightly different detections.
    On a CPU all engines but ``eager`` also tune glibc malloc for the process.

    Raises:
        InputError: the engine is unknown, or does not cover a part of the detector.
    """
    check_engine(name)
    if name == 'eager':
        return model
    if next(model.parameters()).device.type == 'cpu':
        keep_freed_memory()
    kind, _, precision = name.partition('-')
    model = fast(model, torch.bfloat16 if precision else torch.float32)
    model.engine = name
    if kind == 'compiled':
        model.extract_maps = CompiledMaps(model)
    return model
