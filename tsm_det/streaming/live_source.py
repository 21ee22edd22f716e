"""Webcams and network streams: frames as they come, the connection made anew when it breaks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from threading import Condition, Thread
from typing import NamedTuple

import cv2
import numpy as np
from mmengine.logging import print_log

from tsm_det.errors import InputError

_UNKNOWN_FPS = 30.0
_LONGEST_PAUSE_S = 5.0
# Frames that wait when none may be dropped; beyond them the camera's own buffer fills.
_WAITING = 4


_ADDRESSES = ('rtsp://', 'rtsps://', 'rtmp://', 'http://', 'https://', 'udp://', 'tcp://', 'srt://', '/dev/video')


class Frame(NamedTuple):
    """A frame of a source: its number from 0, its time, and ``(H, W, 3)`` BGR uint8."""

    frame_id: int
    time_s: float
    image: np.ndarray


def is_live_address(source: str) -> bool:
    """Whether a source is a webcam or a network stream."""
    return source.isdigit() or source.lower().startswith(_ADDRESSES)


class LiveSource:
    """The frames of a camera or network stream; see ``Source``.

    A thread reads; who iterates gets the newest frame, and the frames in between count as ``dropped``: they are gaps
    in the frame ids, and so is the time that a broken connection took. Times are seconds since the first frame.
    A network stream with an end, such as a video file behind http, is read on after a break and ends.

    Args:
        address: number of a webcam (``'0'``), ``/dev/video0``, or an rtsp, rtmp, http, https, udp or tcp address.
        every_frame: drop none; the stream falls behind when the detector is slower.
        stall_limit_s: how long there may be no frame, over all attempts to connect again.

    Raises:
        InputError: on creation, when nothing answers at the address; while iterating, at the stall limit.
    """

    is_live = True
    num_frames = None

    def __init__(self, address: str, every_frame: bool = False, stall_limit_s: float = 10.0) -> None:
        self.name = address
        self.every_frame = every_frame
        self.stall_limit_s = stall_limit_s
        self.dropped = 0
        self._capture = self._connect()
        if not self._capture.isOpened():
            raise InputError(f'nothing can be read from {address}: check the address, and that the camera is on and '
                             'no other program has it')
        self.fps = self._capture.get(cv2.CAP_PROP_FPS) or _UNKNOWN_FPS
        length = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.length = int(length) if 0 < length < 2 ** 31 else None

    def frames(self, start: int = 0, stride: int = 1) -> Iterator[Frame | None]:
        """The frames from the time of the call on, numbered from ``start``; of these every ``stride``-th."""
        self._waiting: deque = deque()
        self._changed = Condition()
        self._ended = False
        self._error: Exception | None = None
        thread = Thread(target=self._run, args=(start, stride), daemon=True)
        thread.start()
        try:
            while True:
                with self._changed:
                    item = self._waiting.popleft() if self._waiting else None
                    self._changed.notify()
                    if item is None and self._ended:
                        break
                yield item
            if self._error is not None:
                raise self._error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()
            thread.join()

    def _run(self, start: int, stride: int) -> None:
        error = None
        try:
            for frame in self._read(start):
                if (frame.frame_id - start) % stride == 0 and not self._put(frame):
                    break
        except Exception as raised:  # it belongs to the thread that takes the frames
            error = raised
        finally:
            self._capture.release()
            with self._changed:
                self._error, self._ended = error, True

    def _put(self, frame: Frame) -> bool:
        """Hand a frame over; False when nobody wants it any more."""
        with self._changed:
            if self.every_frame:
                self._changed.wait_for(lambda: self._ended or len(self._waiting) < _WAITING)
            elif self._waiting:
                self.dropped += len(self._waiting)
                self._waiting.clear()
            self._waiting.append(frame)
            return not self._ended

    def _read(self, start: int) -> Iterator[Frame]:
        frame_id, seen, begin = start, 0, time.monotonic()
        last = begin
        while not self._ended:
            got, image = self._capture.read()
            now = time.monotonic()
            if got:
                yield Frame(frame_id, now - begin, image)
                frame_id, seen, last = frame_id + 1, seen + 1, now
            elif self.length is not None and seen >= self.length:
                return
            else:
                self._reconnect(last, skip=seen if self.length is not None else 0)
                if self.length is None:
                    frame_id += max(1, round((time.monotonic() - last) * self.fps))

    def _connect(self) -> cv2.VideoCapture:
        if self.name.isdigit():
            return cv2.VideoCapture(int(self.name))
        if self.name.startswith('/dev/'):
            return cv2.VideoCapture(self.name)
        limit_ms = max(1, int(self.stall_limit_s * 1000))
        return cv2.VideoCapture(self.name, cv2.CAP_FFMPEG, [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit_ms])

    def _reconnect(self, last: float, skip: int) -> None:
        """Connect again, after longer and longer pauses, and pass over the frames that were already read."""
        print_log(f'{self.name} broke off: connecting again', 'current', level=30)
        pause = 0.25
        while not self._ended:
            self._capture.release()
            if time.monotonic() - last > self.stall_limit_s:
                raise InputError(f'{self.name} gave no frame for {self.stall_limit_s:g} s: check the camera and the '
                                 'network, or raise --stall-limit')
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
            self._capture = self._connect()
            if self._capture.isOpened() and all(self._capture.grab() for _ in range(skip)):
                return
