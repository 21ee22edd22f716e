"""The place where one thread lays frames down and another takes them."""

from __future__ import annotations

import math
import time
from collections import deque
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar('T')
# Frames that wait when none may be dropped; beyond them the camera's own buffer fills.
_WAITING = 4


class Relay(Generic[T]):
    """Hands frames from the thread that reads to the one that detects, and knows how long there was none.

    Args:
        keeps_all: who lays down waits for room; otherwise a frame takes the place of one that nobody took.
    """

    def __init__(self, keeps_all: bool) -> None:
        self.dropped = 0
        self.is_closed = False
        self._keeps_all = keeps_all
        self._frames: deque[T] = deque()
        self._has_ended = False
        self._error: Exception | None = None
        self._heard = time.monotonic()
        self._changed = Condition()

    def heard(self) -> float:
        """Note that the stream gave something; gives the time."""
        self._heard = time.monotonic()
        return self._heard

    def silence_s(self) -> float:
        """For how long the stream has given nothing; while there is no room for more it is not asked."""
        return time.monotonic() - self._heard

    def put(self, frame: T) -> None:
        """Lay a frame down."""
        with self._changed:
            if self._keeps_all:
                self._heard = math.inf
                self._changed.wait_for(lambda: self.is_closed or len(self._frames) < _WAITING)
            else:
                self.dropped += len(self._frames)
                self._frames.clear()
            self._frames.append(frame)
            self.heard()

    def end(self, error: Exception | None) -> None:
        """Say that no frame will come any more, and what is to be raised for it."""
        with self._changed:
            self._error, self._has_ended = error, True

    def take(self) -> T | None:
        """The next frame, None when there is none yet.

        Raises:
            StopIteration: all were taken and none will come.
            Exception: as that, because of what ended the stream.
        """
        with self._changed:
            self._changed.notify()
            if self._frames:
                return self._frames.popleft()
            if not self._has_ended:
                return None
            raise self._error or StopIteration

    def close(self) -> None:
        """Say that nobody will take a frame any more."""
        with self._changed:
            self.is_closed = True
            self._changed.notify()

    def wait_closed(self, limit_s: float) -> bool:
        """Whether it is closed, or gets closed within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_closed, limit_s)
