"""Figures of a comparison, from times that are given."""

import numpy as np
import pytest

from tsm_det.benchmark.distribution import percentiles, ratio_of_medians


def test_the_ratio_of_equal_arms_is_one():
    times = np.random.default_rng(0).normal(10, 1, 50)
    assert ratio_of_medians(times, times) == {'median': 1, 'low': 1, 'high': 1}


def test_the_interval_holds_a_ratio_that_noise_hides():
    rng = np.random.default_rng(1)
    ratio = ratio_of_medians(1.1 * rng.normal(10, 0.5, 200), rng.normal(10, 0.5, 200))
    assert ratio['low'] < 1.1 < ratio['high']
    assert ratio['high'] - ratio['low'] < 0.1


def test_a_machine_that_slows_both_arms_down_does_not_move_the_ratio():
    load = np.linspace(1, 5, 100)
    ratio = ratio_of_medians(1.5 * load, load)
    assert ratio['median'] == pytest.approx(1.5)
    assert ratio['high'] - ratio['low'] < 0.5


def test_percentiles_are_of_calls_and_frames_per_second_of_all_their_frames():
    assert percentiles(list(range(101)), frames_a_call=4) == {
        'p50_ms': 50, 'p95_ms': 95, 'p99_ms': 99, 'fps': pytest.approx(4 * 1000 / 50)}
