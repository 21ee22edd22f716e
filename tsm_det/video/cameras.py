"""Webcams and network streams: frames as they come, the connection made anew when it breaks."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import repeat
from threading import Thread
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log

from tsm_det.errors import InputError
from tsm_det.video.connection import Connection, connect, is_live_address, without_password
from tsm_det.video.latest_frame import Relay

__all__ = ['Frame', 'LiveSource', 'is_live_address']

_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0
# How often a file may break off without a new frame.
_MOST_IN_VAIN = 3
# How long a thread is waited for that may hang in a read.
_FAREWELL_S = 0.5


class Frame(NamedTuple):
    """A frame of a source: its number from 0, its time, and ``(H, W, 3)`` BGR uint8."""

    frame_id: int
    time_s: float
    image: np.ndarray


class LiveSource:
    """The frames of a camera or network stream; see ``Source``.

    A thread reads; who iterates gets the newest frame, and the frames in between count as ``dropped``: they are gaps
    in the frame ids, and so are damaged frames and the time that a broken connection took. Times are seconds since
    frame 0. The name is the address without its password.

    A network stream that has a length, such as a video file behind http, is no camera: none of its frames is dropped,
    after a break it goes on behind the last frame, and it ends.

    Args:
        address: number of a webcam (``'0'``), ``/dev/video0``, or an rtsp, rtmp, http, https, udp or tcp address.
        every_frame: drop none; the stream falls behind when the detector is slower.
        stall_limit_s: how long there may be no frame, over all attempts to connect again. After half of it without
            a frame the connection counts as broken.

    Raises:
        InputError: on creation, when nothing answers at the address; while iterating, at the stall limit, or when a
            file breaks off again and again.
    """

    is_live = True
    files = ()

    def __init__(self, address: str, every_frame: bool = False, stall_limit_s: float = 10.0) -> None:
        self.name = without_password(address)
        self.stall_limit_s = stall_limit_s
        self.dropped = 0
        self._address = address
        try:
            self._first: Connection | None = connect(address, stall_limit_s, stall_limit_s / 2)
        except ConnectionError as error:
            raise InputError(f'nothing can be read from {self.name} ({error}): check the address, and that the camera '
                             'is on and no other program has it') from error
        self.fps, self.num_frames = self._first.fps, self._first.num_frames
        self.is_recorded = self._first.is_recorded
        self.every_frame = every_frame or self.is_recorded

    def frames(self, start: int = 0, stride: int = 1) -> Iterator[Frame | None]:
        """The frames from the time of the call on, numbered from ``start``; of these every ``stride``-th.

        Of a file they are frame ``start`` and every ``stride``-th after it.
        """
        relay: Relay[Frame] = Relay(self.every_frame)
        before = self.dropped
        thread = Thread(target=self._read, args=(relay, start, stride), daemon=True)
        thread.start()
        try:
            while True:
                try:
                    frame = relay.take()
                except StopIteration:
                    return
                self.dropped = before + relay.dropped
                if frame is None and relay.silence_s() > self.stall_limit_s:
                    raise InputError(f'{self.name} gave no frame for {self.stall_limit_s:g} s: check the camera and '
                                     'the network, or raise --stall-limit')
                yield frame
        finally:
            relay.close()
            thread.join(_FAREWELL_S)

    def _read(self, relay: Relay[Frame], start: int, stride: int) -> None:
        """What the thread does."""
        error, begin = None, None
        try:
            with closing(self._images(relay, start)) as images:
                for frame_id, image in enumerate(images, start):
                    if relay.is_closed:
                        break
                    if image is not None and (frame_id - start) % stride == 0:
                        now = time.monotonic()
                        begin = now if begin is None else begin
                        time_s = frame_id / self.fps if self.is_recorded else start / self.fps + now - begin
                        relay.put(Frame(frame_id, time_s, image))
        except Exception as raised:  # it belongs to the thread that takes the frames
            error = raised
        relay.end(error)

    def _images(self, relay: Relay[Frame], start: int) -> Iterator[np.ndarray | None]:
        """The images of one connection after the other; None stands for each that was lost."""
        passed, in_vain = start if self.is_recorded else 0, 0
        connection, self._first = self._first or self._connect_again(relay), None
        while connection is not None:
            number, is_broken, last = 0, False, time.monotonic()
            try:
                with closing(connection.images) as images:
                    for number, image in enumerate(images, 1):
                        last = last if image is None else relay.heard()
                        if number > passed:
                            yield image
            except ConnectionError:
                is_broken = True
            if self.is_recorded:
                if not is_broken:
                    return
                in_vain = 0 if number > passed else in_vain + 1
                passed = max(passed, number)
                if in_vain == _MOST_IN_VAIN:
                    raise InputError(f'{self.name} breaks off after {passed} frames again and again: the file there '
                                     'is cut off or damaged, fetch it anew')
            print_log(f'{self.name} broke off: connecting again', 'current', logging.WARNING)
            connection = self._connect_again(relay)
            if not self.is_recorded:
                yield from repeat(None, max(1, round((time.monotonic() - last) * self.fps)))

    def _connect_again(self, relay: Relay[Frame]) -> Connection | None:
        """Try after longer and longer pauses; None when nobody waits for it any more."""
        pause_s = _SHORTEST_PAUSE_S
        while not relay.wait_closed(pause_s):
            try:
                return connect(self._address, self.stall_limit_s / 2, self.stall_limit_s / 2)
            except ConnectionError:
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        return None
