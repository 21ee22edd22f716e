"""Calls are interleaved, and figures follow from given times."""

from itertools import count, repeat
from unittest.mock import Mock, call

import numpy as np
import pytest

from tsm_det.benchmark.timing import interleaved, percentiles, ratio_of_medians, throughput


def recorded(calls, warmup):
    """Timed calls, and all that were made."""
    made = []
    arms = {name: lambda given, name=name: made.append((name, given)) or f'{name}{given}' for name in 'abc'}
    return list(interleaved(arms, count(), calls, warmup)), made


def test_every_arm_gets_the_same_input_in_alternating_order():
    _, made = recorded(calls=3, warmup=0)
    assert made == [('c', 0), ('b', 0), ('a', 0), ('a', 1), ('b', 1), ('c', 1), ('c', 2), ('b', 2), ('a', 2)]


def test_warm_up_calls_are_made_but_not_returned(ticking):
    timed, made = recorded(calls=1, warmup=2)
    assert len(made) == 9
    assert timed == [('c', 1000, 500, 'c2'), ('b', 1000, 500, 'b2'), ('a', 1000, 500, 'a2')]


@pytest.mark.parametrize(('streams', 'counts'), [
    (1, [1]), (2, [1, 2]), (5, [1, 2, 4, 5]), (16, [1, 2, 4, 8, 16])])
def test_numbers_of_streams_double_interleaved_and_count_all_frames(streams, counts, ticking):
    arm, images = Mock(), list(range(streams))
    table = throughput({'tsm': arm}, repeat(images), streams, frames=2, warmup=0)
    calls = [call(images[:count]) for count in counts]
    assert arm.mock_calls == [*reversed(calls), *calls]
    assert [(row['streams'], row['arms'][0]['fps'], row['arms'][0]['processor_ms']) for row in table] == [
        (count, count, 500) for count in counts]


def test_percentiles_are_per_call_and_fps_counts_all_frames():
    assert percentiles(list(range(101)), frames_per_call=4) == {
        'p50_ms': 50, 'p95_ms': 95, 'p99_ms': 99, 'fps': pytest.approx(4 * 1000 / 50)}


def test_a_load_on_both_arms_does_not_move_the_ratio():
    load = np.linspace(1, 5, 100)
    assert ratio_of_medians(1.5 * load, load) == pytest.approx({'median': 1.5, 'low': 1.5, 'high': 1.5})


def test_the_interval_covers_the_true_ratio_of_noisy_times():
    rng = np.random.default_rng(1)
    ratio = ratio_of_medians(1.1 * rng.normal(10, 0.5, 200), rng.normal(10, 0.5, 200))
    assert ratio['low'] < 1.1 < ratio['high'] < ratio['low'] + 0.1
