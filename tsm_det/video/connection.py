"""One connection to a camera or network stream: images until it breaks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import av
import cv2
import numpy as np

from tsm_det.video.video_file import turned

_ADDRESSES = ('rtsp://', 'rtsps://', 'rtmp://', 'http://', 'https://', 'udp://', 'tcp://', 'srt://', '/dev/video')
_UNKNOWN_FPS = 30.0
# A stream that states its clock (90 kHz) in place of its frame rate does not know the rate.
_HIGHEST_FPS = 1000.0


class Connection(NamedTuple):
    """What an address gives.

    ``images``: ``(H, W, 3)`` BGR uint8 as they come, in the displayed orientation, None for one that came damaged. They
    end where the stream ends, and ConnectionError is raised where it broke off. Closing them closes the connection.
    ``fps``: frames per second as stated, 30 where nothing is.
    ``is_recorded``: a file lies at the address, every connection gives it from its beginning.
    ``num_frames``: about how many that are; None where nobody knows.
    """

    images: Iterator[np.ndarray | None]
    fps: float
    is_recorded: bool = False
    num_frames: int | None = None


def is_live_address(source: str) -> bool:
    """Whether a source is a webcam or a network stream."""
    return source.isdecimal() or source.lower().startswith(_ADDRESSES)


def without_password(address: str) -> str:
    """The address as it may be shown."""
    # The last @ ends what stands before the host: names and passwords may have one of their own. Digits are a port.
    return re.sub(r'(//[^/?#:]*):(?!\d+[/?#])[^/]*@', r'\1@', address)


def connect(address: str, open_limit_s: float, read_limit_s: float) -> Connection:
    """Connect to a webcam (``'0'``, ``/dev/video0``) or network stream.

    Args:
        address: see :func:`is_live_address`.
        open_limit_s: how long a network stream may take to answer.
        read_limit_s: how long it may give nothing after that.

    Raises:
        ConnectionError: nothing answers there, or no video.
    """
    if '://' in address:
        return _to_network(address, open_limit_s, read_limit_s)
    capture = cv2.VideoCapture(int(address) if address.isdecimal() else address)
    if not capture.isOpened():
        raise ConnectionError('no such camera')
    return Connection(_webcam_images(capture), _plausible(capture.get(cv2.CAP_PROP_FPS)))


def _webcam_images(capture: cv2.VideoCapture) -> Iterator[np.ndarray]:
    try:
        while True:
            is_there, image = capture.read()
            if not is_there:
                raise ConnectionError('it gave no frame')
            yield image
    finally:
        capture.release()


def _to_network(address: str, open_limit_s: float, read_limit_s: float) -> Connection:
    # PyAV, not OpenCV, which gives its last picture again and again when the size changes within a connection.
    try:
        container = av.open(address, timeout=(open_limit_s, read_limit_s), options={'rtsp_transport': 'tcp'})
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ConnectionError(_reason(error)) from error
    stream = container.streams.best('video')
    if stream is None or stream.codec_context is None:
        container.close()
        raise ConnectionError('no video in it')
    fps = _plausible(stream.average_rate or stream.guessed_rate)
    # What a playlist of live video has, is its own size.
    if not container.duration and (container.size <= 0 or container.format.name == 'hls'):
        return Connection(_camera_images(container, stream), fps)
    num_frames = stream.frames or (round(container.duration / av.time_base * fps) if container.duration else None)
    return Connection(_recorded_images(container, stream, num_frames), fps, True, num_frames)


def _camera_images(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[np.ndarray | None]:
    with container, _breaking():
        for packet in container.demux(stream):
            try:
                yield from _pictures(packet.decode())
            except av.InvalidDataError:  # the frames after the next key frame are whole again
                yield None


def _recorded_images(container: av.container.InputContainer, stream: av.VideoStream,
                     num_frames: int | None) -> Iterator[np.ndarray]:
    with container, _breaking():
        received, last = 0, None
        try:
            for packet in container.demux(stream):
                # A packet is decoded when the next one came: what a break left of one would give half a picture.
                if last is not None:
                    yield from _pictures(last.decode())
                received, last = received + 1, packet
        except av.OSError:
            # A server that does not say how long the file is just hangs up at its end.
            if num_frames is None or received < num_frames:
                raise
        yield from _pictures(last.decode())
        if last.size:
            yield from _pictures(stream.codec_context.decode(None))


def _pictures(frames: Iterable[av.VideoFrame]) -> Iterator[np.ndarray]:
    return (turned(frame.to_ndarray(format='bgr24'), frame.rotation) for frame in frames)


@contextmanager
def _breaking() -> Iterator[None]:
    try:
        yield
    except (av.FFmpegError, IndexError) as error:  # an IndexError where damage makes PyAV count streams that are none
        raise ConnectionError(_reason(error)) from error


def _plausible(fps: float | None) -> float:
    return float(fps) if fps and 0 < fps <= _HIGHEST_FPS else _UNKNOWN_FPS


def _reason(error: Exception) -> str:
    if isinstance(error, av.ExitError):
        return 'no answer in time'
    return getattr(error, 'strerror', None) or str(error)
