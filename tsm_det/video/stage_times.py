"""How long each stage of a run was busy."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from threading import Lock
from typing import Any, TypeVar

T = TypeVar('T')


class StageTimes:
    """Seconds of work by stage, also of stages that run at the same time, summed over the threads of a stage.

    ``str`` is one line with ms per frame. The slowest stage sets the rate of a run whose stages overlap;
    decoding several sources takes a thread for each.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.num_frames = 0
        self._lock = Lock()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Context manager: adds its duration to a stage."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.seconds[stage] += time.perf_counter() - begin

    def timed(self, stage: str, items: Generator[T]) -> Generator[T]:
        """Yield the items and add how long each took to come; close the generator at the end."""
        end: Any = object()
        with closing(items):
            while True:
                with self.measure(stage):
                    item = next(items, end)
                if item is end:
                    return
                yield item

    def __str__(self) -> str:
        shares = ', '.join(f'{stage} {1e3 * seconds / max(self.num_frames, 1):.1f}'
                           for stage, seconds in self.seconds.items())
        return f'ms per frame: {shares}'
