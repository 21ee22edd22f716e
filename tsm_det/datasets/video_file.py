"""Frames out of a video file: frame k is the k-th that decoding the file from its beginning gives."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import dropwhile
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from tsm_det.errors import InputError

# Decoded frames kept for reads a little back in time, as in a clip drawn around a frame (22 MB at 720p).
_KEPT = 16
_UNKNOWN_FPS = 30.0


class VideoFile:
    """Reads the frames of a video file exactly, in order or in any other, in bounded memory.

    Reading on costs one decoded frame. Reading elsewhere decodes from the key frame before it in mp4, mov, mkv
    and webm files, and from the beginning of the file in all others: convert those before training on them.

    It travels to other processes as its path; a forked process opens the file anew. It starts no threads,
    so that worker processes may be forked at any time.

    Args:
        path: an existing video file.

    Raises:
        InputError: nothing to read there: missing, not a video, empty, cut off or damaged.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.fspath(path)
        self._index = _read_index(self.path)
        self._forget()

    @property
    def fps(self) -> float:
        """Frames per second as the file states them, the mean where it varies; 30 where it says nothing."""
        return self._index.fps

    def __len__(self) -> int:
        return len(self._index.stamps)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.read(k) for k in range(len(self)))

    def __reduce__(self) -> tuple:
        return VideoFile, (self.path,)

    def read(self, k: int) -> np.ndarray:
        """Give frame ``k``, counted from 0.

        Returns:
            ``(H, W, 3)`` BGR uint8 in the displayed orientation, a new array.

        Raises:
            InputError: the video has no such frame, or the file is damaged there.
        """
        if not 0 <= k < len(self):
            raise InputError(f'frame {k} of {self.path} was asked for but it has frames 0 to {len(self) - 1}: '
                             'check that frame numbers count from 0 and belong to this file')
        if self._process != os.getpid():
            self._forget()
        if k not in self._kept:
            self._decode(k)
        image = self._reformatter.reformat(self._kept[k], format='bgr24', threads=1).to_ndarray()
        return _turn(image, self._kept[k].rotation)

    def _forget(self) -> None:
        self._process = os.getpid()
        self._stream: VideoStream | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._next: int | None = None  # the frame that self._frames gives next, None: nothing is being decoded
        self._kept: dict[int, av.VideoFrame] = {}
        self._reformatter = VideoReformatter()

    def _decode(self, k: int) -> None:
        start = self._index.start_before(k)
        if self._next is None or not start <= self._next <= k:
            self._begin(start)
        if self._decode_on(k):
            return
        # Where a seek did not land on its key frame (intra refresh has none), only the beginning will do.
        self._begin(0)
        if not self._decode_on(k):
            raise InputError(f'frame {k} of {self.path} cannot be decoded: the file is damaged at or before it, '
                             'fetch it again or re-encode it')

    def _begin(self, start: int) -> None:
        """Make ``start``, one of the index's, the frame that comes next."""
        if start == 0 or self._stream is None:
            if self._stream is not None:
                self._stream.container.close()
            self._stream = _open(self.path)
        container = self._stream.container
        self._frames = container.decode(self._stream)
        if start:
            stamp = self._index.stamps[start]
            container.seek(stamp, stream=self._stream)
            self._frames = dropwhile(lambda frame: frame.pts is not None and frame.pts < stamp, self._frames)
        self._next = start

    def _decode_on(self, k: int) -> bool:
        """Decode up to frame ``k``; False when the frames that come are not those of the index."""
        try:
            for frame in self._frames:
                if frame.pts != self._index.stamps[self._next]:
                    break
                self._kept[self._next] = frame
                if len(self._kept) > _KEPT:
                    del self._kept[next(iter(self._kept))]
                self._next += 1
                if self._next > k:
                    return True
        except av.FFmpegError:
            pass
        self._next = None
        return False


class _Index(NamedTuple):
    """What random access needs to know of a file.

    ``stamps``: time stamps of all frames, in displayed order; None where the container has none.
    ``starts``: the frames where decoding can begin, ascending, 0 first.
    """

    stamps: list[int | None]
    starts: list[int]
    fps: float

    def start_before(self, k: int) -> int:
        return self.starts[bisect_right(self.starts, k) - 1]


class _Packet(NamedTuple):
    stamp: int | None
    is_key: bool
    is_hidden: bool  # cut away by the container's edit list
    is_bad: bool


# Formats whose time stamps can be trusted, and whether seeking to one is exact.
_SEEKABLE = {'mov,mp4,m4a,3gp,3g2,mj2': True, 'matroska,webm': True, 'mpegts': False}
# Codecs with one shown frame in each packet.
_ONE_TO_ONE = {'av1', 'ffv1', 'h264', 'hevc', 'mjpeg', 'mpeg4', 'prores', 'vp9'}


def _read_index(path: str) -> _Index:
    try:
        status = os.stat(path)
    except OSError as error:
        raise InputError(f'{path} cannot be opened ({error.strerror}) but a video file is needed: '
                         'check the path') from error
    if os.path.isdir(path) or not status.st_size:
        what = 'a folder' if status.st_size else 'empty'
        raise InputError(f'{path} is {what} but a video file is needed: check the path')
    return _index_of(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _index_of(path: str, size: int, changed_ns: int) -> _Index:
    """Index the file in the state that ``size`` and ``changed_ns`` stand for."""
    try:
        index = _index_packets(path) or _index_frames(path)
    except av.FFmpegError as error:
        raise InputError(f'{path} is damaged or cut off ({error.strerror}): fetch it again or re-encode it') from error
    if not index.stamps:
        raise InputError(f'{path} holds no frame that can be decoded but a video is needed: fetch it again')
    return index


def _index_packets(path: str) -> _Index | None:
    """Index a file by its packets, undecoded; None where they may not tell which frames will be shown."""
    stream = _open(path)
    with stream.container as container:
        packets = [_Packet(packet.pts, packet.is_keyframe, packet.is_discard, packet.is_corrupt)
                   for packet in container.demux(stream) if packet.size]
        if any(entry.pos + entry.size > container.size for entry in stream.index_entries):
            raise InputError(f'{path} is cut off: it lists frames past its end, fetch it again')
        layout, codec, fps = container.format.name, stream.codec.canonical_name, _fps(stream)
    stamps = [packet.stamp for packet in packets]
    if layout not in _SEEKABLE or codec not in _ONE_TO_ONE or None in stamps or len(set(stamps)) < len(stamps):
        return None
    # What leans on frames before the beginning of the file, or is damaged, may not come out of the decoder.
    if not packets or not packets[0].is_key or min(stamps) < stamps[0] or any(packet.is_bad for packet in packets):
        return None
    shown = sorted(packet.stamp for packet in packets if not packet.is_hidden)
    keys = {packet.stamp for packet in packets if packet.is_key} if _SEEKABLE[layout] else set()
    return _Index(shown, [k for k, stamp in enumerate(shown) if k == 0 or stamp in keys], fps)


def _index_frames(path: str) -> _Index:
    """Index a file by decoding all of it."""
    stream = _open(path)
    with stream.container as container:
        return _Index([frame.pts for frame in container.decode(stream)], [0], _fps(stream))


def _open(path: str) -> VideoStream:
    """The stream to read, set to decode without threads, which a fork would lose; close its container."""
    try:
        # A relative path with a colon in it would pass for a network address.
        container = av.open(os.path.abspath(path))
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise InputError(f'{path} cannot be read as a video ({error.args[1]}): '
                         'give a whole video file, such as mp4, mkv or webm') from error
    stream = container.streams.best('video')
    # FFmpeg takes plain text for an animation and the cover of a song for a video.
    if stream is None or container.format.name == 'tty' or Disposition.attached_pic in stream.disposition:
        raise InputError(f'{path} has no video in it but a video file is needed: check the path')
    if stream.codec_context is None:
        raise InputError(f'{path} is in a format that this PyAV cannot decode: re-encode it as H.264')
    stream.codec_context.thread_count = 1
    return stream


def _fps(stream: VideoStream) -> float:
    return float(stream.guessed_rate or stream.average_rate or _UNKNOWN_FPS)


_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def _turn(image: np.ndarray, degrees: int) -> np.ndarray:
    """Turn a stored image counterclockwise, as the file says it is to be displayed."""
    turn = _TURNS.get(degrees % 360)
    return image if turn is None else cv2.rotate(image, turn)
