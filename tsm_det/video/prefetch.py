"""Stages that work at the same time: each draws from the one before it in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar('T')
_END = object()
# How long a full queue is waited on before looking whether anyone still wants its items.
_PATIENCE_S = 0.1


def ahead(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """Give the items in their order while a thread already draws the next ones.

    ``for x in ahead(map(second, ahead(map(first, source))))`` runs first, second and the loop's body at the same time.
    What drawing an item raises is raised here, after the items before it. When the loop is left, by an exception too,
    the thread ends after the item that it is drawing, and ``items``, if it is a generator, is closed in it.

    Args:
        items: drawn from one thread alone.
        depth: how many items may wait, from 1.
    """
    waiting: Queue = Queue(depth)
    abandoned = Event()
    thread = Thread(target=_draw, args=(items, waiting, abandoned), daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        abandoned.set()
        with suppress(Empty):
            waiting.get_nowait()
        thread.join()


def _draw(items: Iterable, waiting: Queue, abandoned: Event) -> None:
    error = None
    try:
        for item in items:
            if not _put((item, None), waiting, abandoned):
                break
    except BaseException as raised:  # whatever it is, it belongs to the thread that takes the items
        error = raised
    finally:
        close = getattr(items, 'close', None)
        if close is not None and abandoned.is_set():
            close()
    _put((_END, error), waiting, abandoned)


def _put(entry: tuple, waiting: Queue, abandoned: Event) -> bool:
    """Whether the entry found a place before nobody wanted it any more."""
    while not abandoned.is_set():
        with suppress(Full):
            waiting.put(entry, timeout=_PATIENCE_S)
            return True
    return False
