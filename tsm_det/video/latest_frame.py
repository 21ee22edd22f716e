"""Hand frames from the thread that reads a camera to the one that detects."""

from __future__ import annotations

import math
import time
from collections import deque
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar('T')
# Queue length when no frame may be dropped; beyond it the camera's own buffer fills.
_MAX_WAITING = 4


class LatestFrame(Generic[T]):
    """Holds the newest frame for the consumer and measures how long the stream has been silent.

    Args:
        keep_all: queue up to 4 frames and make the reader wait for room; otherwise a new frame replaces one that was
            not taken, which counts as ``dropped``.
    """

    def __init__(self, keep_all: bool) -> None:
        self.dropped = 0
        self.is_closed = False
        self._keep_all = keep_all
        self._frames: deque[T] = deque()
        self._is_finished = False
        self._error: Exception | None = None
        self._last_s = time.monotonic()
        self._changed = Condition()

    def touch(self) -> float:
        """Note that the stream gave data; return the time."""
        self._last_s = time.monotonic()
        return self._last_s

    def silence_s(self) -> float:
        """Time since the stream last gave data; negative while the reader waits for room."""
        return time.monotonic() - self._last_s

    def put(self, frame: T) -> None:
        """Add a frame."""
        with self._changed:
            if self._keep_all:
                self._last_s = math.inf
                self._changed.wait_for(lambda: self.is_closed or len(self._frames) < _MAX_WAITING)
            else:
                self.dropped += len(self._frames)
                self._frames.clear()
            self._frames.append(frame)
            self.touch()

    def finish(self, error: Exception | None) -> None:
        """Mark the end of the stream, with the error that ended it."""
        with self._changed:
            self._error, self._is_finished = error, True

    def get(self) -> T | None:
        """Take the next frame; None when there is none yet.

        Raises:
            StopIteration: the stream ended and all frames were taken.
            Exception: the error given to :meth:`finish`, after the frames before it.
        """
        with self._changed:
            self._changed.notify()
            if self._frames:
                return self._frames.popleft()
            if self._is_finished:
                raise self._error or StopIteration
            return None

    def close(self) -> None:
        """Mark that the consumer left."""
        with self._changed:
            self.is_closed = True
            self._changed.notify()

    def wait_closed(self, limit_s: float) -> bool:
        """Wait up to ``limit_s`` for the consumer to leave; return whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_closed, limit_s)
