"""Webcams and network streams: frames as they arrive, with reconnection."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import repeat
from threading import Event
from typing import NamedTuple

import numpy as np

from tsm_det.errors import InputError
from tsm_det.video.connection import (
    DEFAULT_CAMERA,
    DEFAULT_FPS,
    CameraSettings,
    Connection,
    TimedImage,
    check_password,
    connect,
    without_password,
)
from tsm_det.video.prefetch import Background

_MIN_PAUSE_S, _MAX_PAUSE_S = 0.25, 5.0
# Connections to a file that may break off in a row without a new frame.
_MAX_FAILURES = 3
# Of a connection, also when the stall limit is long or infinite.
_MAX_SILENCE_S = 30.0
# Queue length when no frame may be dropped; beyond it the camera's own buffer fills.
_MAX_WAITING = 4
# Do not wait longer for a thread that hangs in a read.
_JOIN_S = 0.5


class StreamFrame(NamedTuple):
    """A frame of a stream: its number from 0, its time, and ``(H, W, 3)`` BGR uint8."""

    stream: str
    frame_id: int
    time_s: float
    image: np.ndarray


class LiveSource:
    """The frames of a camera or network stream; see ``Source``.

    A thread reads; the consumer gets the newest frame, and skipped frames count as ``dropped``. Skipped frames,
    damaged frames and the time of a lost connection are gaps in the frame ids. Times are seconds since frame 0. The
    name is the address without its password. A network stream with a length, such as a video file behind http, is a
    recording: no frame is dropped, a new connection continues after the last frame, and it ends.

    Args:
        address: number of a webcam (``'0'``), ``/dev/video0``, or an rtsp, rtmp, http, https, udp or tcp address.
        every_frame: drop no frame; the stream falls behind when the detector is slower.
        stall_limit_s: longest time without a frame, over all connections, may be infinite. A connection without a frame
            for half of it, at most 30 s, counts as lost.
        camera: transport of rtsp, size and rate of a webcam.
        must_answer: refuse an address where nothing answers now; otherwise wait for it, as for a lost connection.

    ``fps`` is 30 until it answers. ``begin_s`` is the time 0 of its frames by ``time.monotonic``; NaN before the first
    frame, and of a recording.

    Raises:
        InputError: on creation, when nothing answers at the address; while iterating, at the stall limit, or when a
            file breaks off repeatedly.
    """

    is_live = True
    files = ()

    def __init__(self, address: str, every_frame: bool = False, stall_limit_s: float = 10.0,
                 camera: CameraSettings = DEFAULT_CAMERA, must_answer: bool = True) -> None:
        check_password(address)
        self.name = without_password(address)
        self.stall_limit_s = stall_limit_s
        self.dropped = 0
        self._address, self._camera = address, camera
        self._silence_s = min(stall_limit_s / 2, _MAX_SILENCE_S)
        self._first: Connection | None = None
        self._continued: tuple[float, float] | None = None  # time of frames, at a time of the clock
        try:
            self._first = connect(address, min(stall_limit_s, _MAX_SILENCE_S), self._silence_s, camera)
        except ConnectionError as error:
            if must_answer:
                raise InputError(f'nothing can be read from {self.name} ({error}): check the address, that the camera '
                                 'is on, and that no other program uses it') from error
        first = self._first
        self.fps, self.num_frames = (first.fps, first.num_frames) if first else (DEFAULT_FPS, None)
        self.is_recorded, self._is_awaited = first is not None and first.is_recorded, first is None
        self.every_frame = every_frame or self.is_recorded

    def continue_from(self, time_s: float) -> None:
        """Let times of frames go on from ``time_s`` now; otherwise frame ``start`` has the time of its number."""
        self._continued = time_s, time.monotonic()

    def frames(self, start: int = 0, stride: int = 1) -> Generator[StreamFrame | None]:
        """Yield every ``stride``-th frame from now on, numbered from ``start``; of a file, frame ``start`` comes first.

        None means that there is no new frame yet.
        """
        has_left, before = Event(), self.dropped
        self.begin_s = math.nan
        self._last_s = time.monotonic()  # when the stream last gave an image, or the consumer took one
        frames = Background(self._read(has_left, start, stride), _MAX_WAITING, is_live=True,
                            keep_newest=not self.every_frame)
        try:
            for frame in frames:
                self.dropped = before + frames.dropped
                if frame is not None:
                    self._last_s = time.monotonic()  # until now the reader may have waited for room
                elif time.monotonic() - self._last_s > self.stall_limit_s:
                    raise InputError(f'{self.name} gave no frame for {self.stall_limit_s:g} s: check the camera and '
                                     'the network, or raise --stall-limit')
                yield frame
        finally:
            has_left.set()
            frames.close(_JOIN_S)

    def _read(self, has_left: Event, start: int, stride: int) -> Generator[StreamFrame]:
        """Run in the reading thread until the consumer has left."""
        with closing(self._images(has_left, start)) as images:
            for frame_id, shown in enumerate(images, start):
                if has_left.is_set():
                    return
                if shown is not None and (frame_id - start) % stride == 0:
                    now = time.monotonic()
                    if shown.time_s is None and math.isnan(self.begin_s):
                        time_s, since = self._continued or (frame_id / self.fps, now)
                        self.begin_s = since - time_s
                    time_s = now - self.begin_s if shown.time_s is None else shown.time_s
                    yield StreamFrame(self.name, frame_id, time_s, shown.image)

    def _images(self, has_left: Event, start: int) -> Generator[TimedImage | None]:
        """Yield the images of all connections; None stands for a lost frame."""
        passed, failures = start if self.is_recorded else 0, 0
        last = time.monotonic()
        connection, self._first = self._first or self._reconnect(has_left), None
        if self._is_awaited and connection is not None:
            if connection.is_recorded:
                raise InputError(f'{self.name} did not answer at first, and is a recording: start again')
            self._is_awaited = False
            yield from self._lost_since(last)
        while connection is not None:
            number, is_broken, last = 0, False, time.monotonic()
            try:
                with closing(connection.images) as images:
                    for number, image in enumerate(images, 1):
                        if image is not None:
                            last = self._last_s = time.monotonic()
                        if number > passed:
                            yield image
            except ConnectionError:
                is_broken = True
            if self.is_recorded:
                if not is_broken:
                    return
                failures = 0 if number > passed else failures + 1
                passed = max(passed, number)
                if failures == _MAX_FAILURES:
                    raise InputError(f'{self.name} broke off after {passed} frames {failures} times: the file at the '
                                     'address is truncated or damaged, replace it')
            logging.getLogger(__name__).warning('%s broke off: reconnecting', self.name)
            connection = self._reconnect(has_left)
            if not self.is_recorded:
                yield from self._lost_since(last)

    def _lost_since(self, last: float) -> Iterator[None]:
        return repeat(None, max(1, round((time.monotonic() - last) * self.fps)))

    def _reconnect(self, has_left: Event) -> Connection | None:
        """Connect, with growing pauses between attempts; None when the consumer has left."""
        pause_s = _MIN_PAUSE_S
        while not has_left.wait(pause_s):
            try:
                connection = connect(self._address, self._silence_s, self._silence_s, self._camera)
            except ConnectionError:
                pause_s = min(2 * pause_s, _MAX_PAUSE_S)
            else:
                self.fps = connection.fps
                return connection
        return None
