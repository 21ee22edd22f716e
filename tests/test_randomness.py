"""Draws that depend on where they happen, not on what was drawn before."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tsm_det.randomness import SeedEachStep, mix, seeded


def test_a_block_starts_at_its_seed_and_leaves_no_trace():
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.rand()
    random.seed(1)
    np.random.seed(1)
    with seeded(5):
        inside = random.random(), np.random.rand()
    assert (random.random(), np.random.rand()) == expected
    with seeded(5):
        assert (random.random(), np.random.rand()) == inside != expected


def test_a_block_that_fails_leaves_no_trace():
    np.random.seed(1)
    expected = np.random.rand()
    np.random.seed(1)
    with pytest.raises(KeyError), seeded(5):
        raise KeyError
    assert np.random.rand() == expected


def test_seeds_of_neighbours_differ():
    assert len({mix(seed, step) for seed in range(30) for step in range(30)}) == 900
    assert mix(1, 2) != mix(2, 1)


def test_a_step_draws_the_same_whatever_came_before():
    def draw(step, seed=3):
        torch.rand(7)
        SeedEachStep().before_train_iter(SimpleNamespace(seed=seed, iter=step), step)
        return torch.rand(1).item()
    assert draw(5) == draw(5)
    assert len({draw(5), draw(6), draw(5, seed=4)}) == 3
