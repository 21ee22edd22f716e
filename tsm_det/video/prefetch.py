"""Run the stages of a pipeline at the same time, one thread per stage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar('T')
_END = object()
# Wait for room in the queue, then check whether the consumer has left.
_POLL_S = 0.1


def prefetch(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """Yield the items in order while a thread computes the next ones.

    ``for x in prefetch(map(second, prefetch(map(first, source))))`` runs first, second and the loop body at the same
    time. An exception of ``items`` is raised here, after the items before it. When the consumer leaves the loop, the
    thread stops after its current item and closes ``items`` if it is a generator.

    Args:
        items: consumed by that thread only.
        depth: largest number of waiting items, at least 1.
    """
    queue: Queue = Queue(depth)
    abandoned = Event()
    thread = Thread(target=_fill, args=(items, queue, abandoned), daemon=True)
    thread.start()
    try:
        while True:
            item, error = queue.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        abandoned.set()
        with suppress(Empty):
            queue.get_nowait()
        thread.join()


def _fill(items: Iterable, queue: Queue, abandoned: Event) -> None:
    error = None
    try:
        for item in items:
            if not _put((item, None), queue, abandoned):
                break
    except BaseException as raised:  # the consumer's thread raises it
        error = raised
    finally:
        if abandoned.is_set() and hasattr(items, 'close'):
            items.close()
    _put((_END, error), queue, abandoned)


def _put(entry: tuple, queue: Queue, abandoned: Event) -> bool:
    """Put an entry into the queue; False when the consumer left first."""
    while not abandoned.is_set():
        with suppress(Full):
            queue.put(entry, timeout=_POLL_S)
            return True
    return False
