"""Run the stages of a pipeline at the same time, one thread per stage."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from threading import Condition, Thread
from typing import TypeVar

T = TypeVar('T')


def prefetch(items: Iterable[T], depth: int = 2) -> Generator[T]:
    """Yield the items in order while a thread computes the next ones.

    ``for x in prefetch(map(second, prefetch(map(first, source))))`` runs first, second and the loop body at the same
    time. When the consumer leaves the loop, the thread stops after its current item and closes ``items``.

    An exception of ``items`` is raised here, after the items before it. ``depth`` is the largest number of waiting
    items, at least 1.
    """
    with closing(Background(items, depth)) as background:
        yield from background


class Background(Iterator[T]):
    """Iterator over items that a thread computes ahead of the consumer.

    The thread's exception is raised after the items before it.

    Args:
        items: consumed by the thread only, which closes a generator at the end.
        depth: largest number of waiting items; at that number the thread waits for room.
        is_live: never wait: without an item, give None.
        keep_newest: drop waiting items for a new one instead of waiting for room, and count them as ``dropped``.
    """

    def __init__(self, items: Iterable[T], depth: int, is_live: bool = False, keep_newest: bool = False) -> None:
        self.dropped = 0
        self._depth, self._is_live, self._keep_newest = depth, is_live, keep_newest
        self._waiting: deque[T] = deque()
        self._end: BaseException | None = None  # StopIteration, or the error of the thread
        self._is_closed = False
        self._changed = Condition()
        self._thread = Thread(target=self._run, args=(items,), daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._end or self._is_live)
            self._changed.notify()
            if self._waiting:
                return self._waiting.popleft()
            if self._end:
                raise self._end
            return None  # type: ignore[return-value]  # a T of live items may be None

    def close(self, limit_s: float | None = None) -> None:
        """Stop the thread; wait for it up to ``limit_s``, None for as long as its current item takes."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(limit_s)

    def _run(self, items: Iterable[T]) -> None:
        end: BaseException = StopIteration()
        try:
            for item in items:
                with self._changed:
                    if self._keep_newest:
                        self.dropped += len(self._waiting)
                        self._waiting.clear()
                    self._changed.wait_for(lambda: self._is_closed or len(self._waiting) < self._depth)
                    if self._is_closed:
                        break
                    self._waiting.append(item)
                    self._changed.notify()
            getattr(items, 'close', lambda: None)()
        except BaseException as error:  # the consumer's thread raises it
            end = error
        with self._changed:
            self._end = end
            self._changed.notify()
