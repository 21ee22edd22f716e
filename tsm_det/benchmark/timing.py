"""Time arms call by call in turn, and summarise the times as percentiles and ratios."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from tsm_det.benchmark.arms import TimedArm


class TimedCall(NamedTuple):
    """One call of the arm ``name``: wall-clock time, CPU time of all threads of the process, and the result."""

    name: Hashable
    wall_ms: float
    cpu_ms: float
    result: Any


def interleaved(arms: Mapping[Hashable, Callable[[Any], Any]], inputs: Iterator, count: int, warmup: int,
                device: str = 'cpu', unit: str = 'frames') -> Iterator[TimedCall]:
    """Call every arm on the same input, in alternating order, so that a slow phase of the machine slows all arms.

    The calls of the first ``warmup`` inputs are not returned, those of the next ``count`` are. Fetching an input is not
    timed. ``unit`` labels the progress bar.
    """
    for k in tqdm(range(warmup + count), desc=unit, mininterval=2):
        given = next(inputs)
        for name in list(arms) if k % 2 else reversed(arms):
            call = TimedCall(name, *timed(partial(arms[name], given), device))
            if k >= warmup:
                yield call


def timed(function: Callable[[], Any], device: str = 'cpu') -> tuple[float, float, Any]:
    """Wall-clock time in ms, CPU time in ms and result of a call, the device synchronised before and after it."""
    _synchronize(device)
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    _synchronize(device)
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3, result


def throughput(arms: Mapping[str, TimedArm], batches: Iterator[list[np.ndarray]], streams: int, frames: int = 50,
               warmup: int = 5, device: str = 'cpu') -> list[dict]:
    """Time ``frames`` calls per arm with the first 1, 2, 4, ... and all of ``streams`` streams, interleaved.

    ``batches`` iterates over the frames of all streams. Returns a dict per number: ``streams`` and, for each of the
    ``arms``, percentiles in ms per call, the median CPU time, and frames per second over all streams.
    """
    counts = [2 ** k for k in range(streams.bit_length()) if 2 ** k < streams] + [streams]
    calls = {(name, count): lambda images, arm=arm, count=count: arm(images[:count])
             for count in counts for name, arm in arms.items()}
    times = {key: [] for key in calls}
    for call in interleaved(calls, batches, frames, warmup, device, 'streams'):
        times[call.name].append((call.wall_ms, call.cpu_ms))
    return [{'streams': count, 'arms': [
        {'name': name, **percentiles(wall_ms, count), 'processor_ms': float(np.median(cpu_ms))}
        for name in arms for wall_ms, cpu_ms in [zip(*times[name, count], strict=True)]]} for count in counts]


def percentiles(times_ms: Sequence[float], frames_per_call: int = 1) -> dict[str, float]:
    """``p50_ms``, ``p95_ms`` and ``p99_ms`` of calls, and ``fps``: all frames divided by the total time."""
    p50, p95, p99 = np.percentile(times_ms, [50, 95, 99]).tolist()
    return {'p50_ms': p50, 'p95_ms': p95, 'p99_ms': p99, 'fps': frames_per_call * 1e3 / float(np.mean(times_ms))}


def ratio_of_medians(times: Sequence[float], baseline: Sequence[float]) -> dict[str, float]:
    """Ratio of medians with a 95 % interval from a bootstrap over pairs of interleaved calls."""
    pairs = np.array([times, baseline])
    draws = np.random.default_rng(0).integers(0, pairs.shape[1], (2000, pairs.shape[1]))
    medians = np.median(pairs[:, draws], axis=2)
    low, high = np.percentile(medians[0] / medians[1], [2.5, 97.5])
    return {'median': float(np.median(pairs[0]) / np.median(pairs[1])), 'low': float(low), 'high': float(high)}


def _synchronize(device: str) -> None:
    if device.startswith('cuda'):
        torch.cuda.synchronize(device)
