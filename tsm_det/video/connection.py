"""One connection to a camera or network stream: images until it breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import av
import cv2
import numpy as np

from tsm_det.video.video_file import turned

_ADDRESSES = ('rtsp://', 'rtsps://', 'rtmp://', 'http://', 'https://', 'udp://', 'tcp://', 'srt://', '/dev/video')
_DEFAULT_FPS = 30.0
# A stream with a higher rate states its clock (90 kHz), not its frame rate.
_MAX_FPS = 1000.0


class Connection(NamedTuple):
    """An open camera or network stream.

    ``images`` are ``(H, W, 3)`` BGR uint8 in the displayed orientation, None for a damaged one; they raise
    ConnectionError where the stream breaks off, and closing them closes the connection. ``fps`` is 30 if unknown.
    ``is_recorded``: each connection gives the same file from its beginning. ``num_frames`` is approximate, or None.
    """

    images: Iterator[np.ndarray | None]
    fps: float
    is_recorded: bool = False
    num_frames: int | None = None


def is_live_address(source: str) -> bool:
    """Whether a source is a webcam or a network stream."""
    return source.isdecimal() or source.lower().startswith(_ADDRESSES)


def without_password(address: str) -> str:
    """Remove the password from an address, for messages."""
    # The last @ before the path ends the password, which may contain others. Digits are a port.
    return re.sub(r'(//[^/?#:]*):(?!\d+[/?#])[^/]*@', r'\1@', address)


def connect(address: str, open_limit_s: float, read_limit_s: float) -> Connection:
    """Connect to a webcam (``'0'``, ``/dev/video0``) or network stream.

    ``open_limit_s`` is the longest time until a network stream answers, ``read_limit_s`` without data after that.

    Raises:
        ConnectionError: nothing answers there, or the stream has no video.
    """
    if '://' in address:
        return _connect_network(address, open_limit_s, read_limit_s)
    capture = cv2.VideoCapture(int(address) if address.isdecimal() else address)
    if not capture.isOpened():
        raise ConnectionError('no such camera')
    return Connection(_webcam_images(capture), _plausible_fps(capture.get(cv2.CAP_PROP_FPS)))


def _webcam_images(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    try:
        while (read := capture.read())[0]:
            yield read[1]
        raise ConnectionError('it gave no frame')
    finally:
        capture.release()


def _connect_network(address: str, open_limit_s: float, read_limit_s: float) -> Connection:
    # PyAV: OpenCV repeats its last image when the size changes within a connection.
    try:
        container = av.open(address, timeout=(open_limit_s, read_limit_s), options={'rtsp_transport': 'tcp'})
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ConnectionError(_reason(error)) from error
    stream = container.streams.best('video')
    if stream is None or stream.codec_context is None:
        container.close()
        raise ConnectionError('no video in it')
    fps = _plausible_fps(stream.average_rate or stream.guessed_rate)
    # The size of an hls playlist is not that of its video.
    if not container.duration and (container.size <= 0 or container.format.name == 'hls'):
        return Connection(_images(container, _camera_frames(container, stream)), fps)
    num_frames = stream.frames or (round(container.duration / av.time_base * fps) if container.duration else None)
    return Connection(_images(container, _recorded_frames(container, stream, num_frames)), fps, True, num_frames)


def _images(container: av.container.InputContainer, frames: Iterator[av.VideoFrame | None]) -> Iterator[
        np.ndarray | None]:
    try:
        with container:
            for frame in frames:
                yield frame and turned(frame.to_ndarray(format='bgr24'), frame.rotation)
    except (av.FFmpegError, IndexError) as error:  # damage can make PyAV raise an IndexError
        raise ConnectionError(_reason(error)) from error


def _camera_frames(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame | None]:
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.InvalidDataError:  # frames are intact again from the next key frame on
            yield None


def _recorded_frames(container: av.container.InputContainer, stream: av.VideoStream,
                     num_frames: int | None) -> Iterator[av.VideoFrame]:
    received, last = 0, None
    try:
        for packet in container.demux(stream):
            # Decode a packet once the next one arrived: a broken connection may leave half of the last one.
            if last is not None:
                yield from last.decode()
            received, last = received + 1, packet
    except av.OSError:
        # A server that states no length hangs up at the end of the file.
        if num_frames is None or received < num_frames:
            raise
    yield from last.decode()
    if last.size:
        yield from stream.codec_context.decode(None)


def _plausible_fps(fps: float | None) -> float:
    return float(fps) if fps and 0 < fps <= _MAX_FPS else _DEFAULT_FPS


def _reason(error: Exception) -> str:
    return 'no answer in time' if isinstance(error, av.ExitError) else getattr(error, 'strerror', None) or str(error)
