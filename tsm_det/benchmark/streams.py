"""Many streams in one batch: frames per second against their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tsm_det.benchmark.arms import Arm
from tsm_det.benchmark.distribution import percentiles
from tsm_det.benchmark.interleaving import interleaved


def stream_counts(streams: int) -> list[int]:
    """1, 2, 4, ... below ``streams``, and ``streams``."""
    return [2 ** k for k in range(streams.bit_length()) if 2 ** k < streams] + [streams]


def throughput(arms: Mapping[str, Arm], batches: Callable[[int], Iterator[list[np.ndarray]]], streams: int,
               frames: int = 50, warmup: int = 5, device: str = 'cpu') -> list[dict]:
    """Time calls of 1, 2, 4, ... streams, all arms interleaved, every stream afresh at each number.

    Args:
        arms: by name.
        batches: starts the frames of so many streams from the beginning.
        streams: the most.
        frames: timed calls an arm at each number.
        warmup: calls before that, not counted.
        device: of the arms.

    Returns:
        For each number its ``streams`` and ``arms``: percentiles in ms a call, and frames per second of all streams.
    """
    table = []
    for count in stream_counts(streams):
        times = {name: [] for name in arms}
        for arm in arms.values():
            arm.forget()
        for call in interleaved(arms, batches(count), frames, warmup, device, f'{count} streams'):
            times[call.name].append(call.wall_ms)
        table.append({'streams': count, 'arms': [
            {'name': name, **percentiles(taken, count)} for name, taken in times.items()]})
    return table
