"""Draws depend on the seed and the step, not on earlier draws."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tsm_det.randomness import SeedEachStep, mix, seeded


def draw_both():
    return random.random(), np.random.rand()


def test_a_block_starts_at_its_seed_and_restores_the_generators():
    random.seed(1)
    np.random.seed(1)
    with seeded(1):
        expected = draw_both()
    with seeded(5):
        inside = draw_both()
    with pytest.raises(KeyError), seeded(5):
        assert draw_both() == inside != expected
        raise KeyError
    assert draw_both() == expected


def test_seeds_of_neighbours_differ():
    assert len({mix(seed, step) for seed in range(30) for step in range(30)}) == 900
    assert mix(1, 2) != mix(2, 1)


def test_a_step_draws_the_same_after_any_earlier_draws():
    def draw(step, seed=3):
        torch.rand(7)
        SeedEachStep().before_train_iter(SimpleNamespace(seed=seed, iter=step), step)
        return torch.rand(1).item()
    assert draw(5) == draw(5)
    assert len({draw(5), draw(6), draw(5, seed=4)}) == 3
