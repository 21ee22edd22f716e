"""Calls of several arms in turn, each timed by itself: what slows the machine down slows all arms down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from tqdm import tqdm

from tsm_det.benchmark.stages import synchronize


class Call(NamedTuple):
    """A timed call: of which arm, by the clock, by the processor time of all threads, and what came back."""

    name: str
    wall_ms: float
    processor_ms: float
    result: Any


def interleaved(calls: Mapping[str, Callable[[Any], Any]], inputs: Iterator, rounds: int, warmup: int,
                device: str = 'cpu', what: str = 'frames') -> Iterator[Call]:
    """Call every arm on the same input, round by round, the order alternating.

    Args:
        calls: name to what is timed.
        inputs: one a round; getting it is not timed.
        rounds: how many are given, after the warm-up.
        warmup: rounds before that, which are made and not given.
        device: waited for before and after a call.
        what: a round is, in the line of progress.
    """
    for k in tqdm(range(warmup + rounds), desc=what, mininterval=2):
        given = next(inputs)
        for name in list(calls) if k % 2 else reversed(calls):
            call = _timed(name, calls[name], given, device)
            if k >= warmup:
                yield call


def _timed(name: str, call: Callable[[Any], Any], given: Any, device: str) -> Call:
    synchronize(device)
    wall, processor = time.perf_counter(), time.process_time()
    result = call(given)
    synchronize(device)
    return Call(name, (time.perf_counter() - wall) * 1e3, (time.process_time() - processor) * 1e3, result)
