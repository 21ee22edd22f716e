"""Random draws that depend on the seed and on where in the training they happen, not on what was drawn before.

So a resumed training draws what an uninterrupted one does, whatever the number of worker processes.
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
    """One seed, below 2^32, out of several whole numbers from 0; their order matters."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let ``random`` and numpy's global generator, which transforms draw from, start at ``seed`` inside the block."""
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
    """Seeds torch before every training step, from the runner's seed, the rank and the step's number."""

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Seed the generators of all devices."""
        torch.manual_seed(mix(runner.seed, get_rank(), runner.iter))
