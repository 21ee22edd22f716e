"""Random draws that depend on the seed and the training step, not on earlier draws.

A resumed training then draws the same as an uninterrupted one, with any number of worker processes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


def mix(*numbers: int) -> int:
    """Combine non-negative integers, in this order, into one seed below 2^32."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Context manager: seeds ``random`` and numpy's global generator and restores them on exit."""
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


@HOOKS.register_module()
class SeedEachStep(Hook):
    """Seeds torch before every training step with the runner's seed, the rank and the step number."""

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Seed the generators of all devices."""
        torch.manual_seed(mix(runner.seed, get_rank(), runner.iter))
