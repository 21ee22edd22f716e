"""One connection to a camera or network stream: images until it breaks."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import av
import cv2
import numpy as np

from tsm_det.errors import InputError
from tsm_det.video.frame_times import FrameClock, stamp_of, usual_step
from tsm_det.video.orientation import upright

_ADDRESSES = ('rtsp://', 'rtsps://', 'rtmp://', 'http://', 'https://', 'udp://', 'tcp://', 'srt://', '/dev/video')
DEFAULT_FPS = 30.0
# A stream with a higher rate states its clock (90 kHz), not its frame rate.
_MAX_FPS = 1000.0


class CameraSettings(NamedTuple):
    """Wishes: ``tcp`` or ``udp`` for rtsp; size (W, H) and rate of a webcam, None for the camera's own."""

    rtsp_transport: str = 'tcp'
    webcam_size: tuple[int, int] | None = None
    webcam_fps: float | None = None


DEFAULT_CAMERA = CameraSettings()


class TimedImage(NamedTuple):
    """An image ``(H, W, 3)`` BGR uint8 in the displayed orientation; seconds since the first one of a recording."""

    image: np.ndarray
    time_s: float | None = None


class Connection(NamedTuple):
    """An open camera or network stream.

    ``images`` are None for a damaged one; they raise ConnectionError where the stream breaks off, and closing them
    closes the connection. ``fps`` is 30 if unknown. ``is_recorded``: each connection gives the same file from its
    beginning. ``num_frames`` is approximate, or None.
    """

    images: Generator[TimedImage | None]
    fps: float
    is_recorded: bool = False
    num_frames: int | None = None


def is_live_address(source: str) -> bool:
    """Whether a source is a webcam or a network stream; raise InputError when it may be a file or a folder too."""
    is_webcam = re.fullmatch(r'0|[1-9]\d*', source, re.ASCII) is not None
    if is_webcam and Path(source).exists():
        raise InputError(f'{source} is the number of a webcam and the name of a file or folder here: write ./{source} '
                         'for the latter, or start in another folder')
    return is_webcam or source.lower().startswith(_ADDRESSES)


def without_password(address: str) -> str:
    """Remove the password from an address, for messages."""
    # The last @ before the path ends the password, which may contain others. Digits are a port.
    return re.sub(r'(//[^/?#:\[]*):(?!\d+[/?])(?:[^/]*|[^@]*)@', r'\1@', address)


def check_password(address: str) -> None:
    """Raise InputError when a password contains #, ? or /, which end the host of an address."""
    [(host, mark, rest)] = re.findall(r'\A(?:\w+://)?([^/?#]*)([/?#]?)(.*)', address, re.DOTALL)
    is_host = '@' in host or re.fullmatch(r'([^:[]*|\[.*\])(:\d*)?', host)
    is_query = mark == '?' and '=' in rest.split('@')[0]
    if '@' in rest and not (is_host and (mark == '/' or is_query)):
        raise InputError(f'the password of {host.split(":")[0]} contains {mark} but an address ends its host there: '
                         f'write {quote(mark, safe="")} for it')


def connect(address: str, open_limit_s: float, read_limit_s: float,
            settings: CameraSettings = DEFAULT_CAMERA) -> Connection:
    """Connect to a webcam (``'0'``, ``/dev/video0``) or network stream.

    ``open_limit_s`` is the longest time until a network stream answers, ``read_limit_s`` without data after that.

    Raises:
        ConnectionError: nothing answers there, or the stream has no video.
    """
    if '://' in address:
        return _connect_network(address, open_limit_s, read_limit_s, settings.rtsp_transport)
    capture = cv2.VideoCapture(int(address) if address.isdecimal() else address)
    if not capture.isOpened():
        raise ConnectionError('no such camera')
    _set_up(capture, address, settings)
    return Connection(_webcam_images(capture), _plausible_fps(capture.get(cv2.CAP_PROP_FPS)))


def _set_up(capture: cv2.VideoCapture, address: str, settings: CameraSettings) -> None:
    """Ask for a size and a rate; a camera takes the nearest that it has."""
    width, height = settings.webcam_size or (None, None)
    wishes = {key: wish for key, wish in (
        (cv2.CAP_PROP_FRAME_WIDTH, width), (cv2.CAP_PROP_FRAME_HEIGHT, height),
        (cv2.CAP_PROP_FPS, settings.webcam_fps)) if wish is not None}
    if wishes:  # USB is too slow for large uncompressed frames
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*'MJPG'))
    for key, wish in wishes.items():
        capture.set(key, wish)
    given = {key: capture.get(key) for key in wishes}
    if any(abs(given[key] - wish) > 0.5 for key, wish in wishes.items()):
        said, asked = (', '.join(f'{number:g}' for number in numbers.values()) for numbers in (given, wishes))
        logging.getLogger(__name__).warning('webcam %s gives %s, not %s as asked (width, height or frames per second)',
                                            address, said, asked)


def _webcam_images(capture: cv2.VideoCapture) -> Generator[TimedImage]:
    try:
        while (read := capture.read())[0]:
            yield TimedImage(read[1])
        raise ConnectionError('it gave no frame')
    finally:
        capture.release()


def _connect_network(address: str, open_limit_s: float, read_limit_s: float, rtsp_transport: str) -> Connection:
    # PyAV: OpenCV repeats its last image when the size changes within a connection.
    try:
        container = av.open(address, timeout=(open_limit_s, read_limit_s), options={'rtsp_transport': rtsp_transport})
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ConnectionError(_reason(error)) from error
    stream = container.streams.best('video')
    if not isinstance(stream, av.VideoStream) or stream.codec_context is None:
        container.close()
        raise ConnectionError('no video in it')
    fps = _plausible_fps(stream.average_rate or stream.guessed_rate)
    # The size of an hls playlist is not that of its video.
    if not container.duration and (container.size <= 0 or container.format.name == 'hls'):
        return Connection(_images(container, _camera_frames(container, stream)), fps)
    num_frames = stream.frames or (round(container.duration / av.time_base * fps) if container.duration else None)
    assert stream.time_base is not None
    clock = FrameClock(stream.time_base, usual_step((), stream.time_base, fps))
    return Connection(_images(container, _recorded_frames(container, stream, num_frames), clock), fps, True, num_frames)


def _images(container: av.container.InputContainer, frames: Iterator[av.VideoFrame | None],
            clock: Callable[[int | None], float | None] = lambda _: None) -> Generator[TimedImage | None]:
    try:
        with container:
            for frame in frames:
                yield None if frame is None else TimedImage(upright(frame.to_ndarray(format='bgr24'), frame),
                                                            clock(stamp_of(frame, container.format.name)))
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
    if last is not None:
        yield from last.decode()
        if last.size:
            yield from stream.codec_context.decode(None)


def _plausible_fps(fps: float | Fraction | None) -> float:
    return float(fps) if fps and 0 < fps <= _MAX_FPS else DEFAULT_FPS


def _reason(error: Exception) -> str:
    return 'no answer in time' if isinstance(error, av.ExitError) else getattr(error, 'strerror', None) or str(error)
