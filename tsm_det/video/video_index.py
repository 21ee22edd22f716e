"""Which frames a video file has, and where decoding can begin: what reading it in any order rests on."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple, TypeVar

import av
from av.stream import Disposition
from av.video.stream import VideoStream

from tsm_det.errors import InputError
from tsm_det.video.file_length import is_cut_off

T = TypeVar('T')
_UNKNOWN_FPS = 30.0
# Formats whose time stamps can be trusted, and whether seeking to one is exact.
_SEEKABLE = {'mov,mp4,m4a,3gp,3g2,mj2': True, 'matroska,webm': True, 'mpegts': False}
# Codecs with one shown frame in each packet.
_ONE_TO_ONE = {'av1', 'ffv1', 'h264', 'hevc', 'mjpeg', 'mpeg4', 'prores', 'vp9'}


class VideoIndex(NamedTuple):
    """The frames of a video file.

    ``stamps``: time stamps of all frames, in displayed order; None where the container has none.
    ``starts``: the frames where decoding can begin, ascending, 0 first.
    ``fps``: frames per second, the mean where it varies.
    """

    stamps: list[int | None]
    starts: list[int]
    fps: float

    def start_before(self, k: int) -> int:
        """The last start that is not after frame ``k``."""
        return self.starts[bisect_right(self.starts, k) - 1]


def index_video(path: str, most_frames: int | None = None) -> VideoIndex:
    """Index a video file; the index of a file that has not changed since is remembered.

    mp4, mov, mkv, webm and ts files are read through without decoding (30 ms a minute of 720p); others are
    decoded once.

    Args:
        path: of the file.
        most_frames: that it may have; reading stops there, and the index is not remembered. None is any.

    Raises:
        InputError: nothing to read there: missing, not a video, empty, cut off or damaged; or too many frames.
    """
    try:
        status = os.stat(path)
        if os.path.isdir(path) or status.st_size == 0:
            what = 'a folder' if os.path.isdir(path) else 'empty'
            raise InputError(f'{path} is {what} but a video file is needed: check the path')
        if most_frames is not None:
            return _index(path, most_frames)
        return _remembered(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise InputError(f'{path} cannot be opened ({error.strerror}) but a video file is needed: '
                         'check the path') from error


def open_video(path: str) -> VideoStream:
    """The video stream of a file, set to decode without threads, which a fork would lose; close its container.

    Raises:
        InputError: the file is not a video.
    """
    try:
        # A relative path with a colon in it would pass for a network address.
        container = av.open(os.path.abspath(path))
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise InputError(f'{path} cannot be read as a video ({error.args[1]}): '
                         'give a video file, such as mp4, mkv or webm') from error
    stream = container.streams.best('video')
    # FFmpeg takes plain text for an animation and the cover of a song for a video.
    if stream is None or container.format.name == 'tty' or Disposition.attached_pic in stream.disposition:
        raise InputError(f'{path} has no video in it but a video file is needed: check the path')
    if stream.codec_context is None:
        raise InputError(f'{path} is in a format that this PyAV cannot decode: re-encode it as H.264')
    stream.codec_context.thread_count = 1
    return stream


@lru_cache(maxsize=256)
def _remembered(path: str, size: int, changed_ns: int) -> VideoIndex:
    """Index the file in the state that ``size`` in bytes and ``changed_ns`` stand for."""
    return _index(path, None)


def _index(path: str, most_frames: int | None) -> VideoIndex:
    if is_cut_off(path):
        raise InputError(f'{path} is cut off, it ends in the middle of its data: fetch it again')
    try:
        index = _index_packets(path, most_frames) or _index_frames(path, most_frames)
    except (av.FFmpegError, IndexError) as error:  # an IndexError where damage makes PyAV count streams that are none
        raise InputError(f'{path} is damaged ({getattr(error, "strerror", "in its streams")}): fetch it again or '
                         're-encode it') from error
    if not index.stamps:
        raise InputError(f'{path} holds no frame that can be decoded but a video is needed: fetch it again')
    return index


def _index_packets(path: str, most_frames: int | None) -> VideoIndex | None:
    """Index a file by its packets, undecoded; None where they may not tell which frames will be shown."""
    stream = open_video(path)
    with stream.container as container:
        if container.format.name not in _SEEKABLE or stream.codec.canonical_name not in _ONE_TO_ONE:
            return None
        packets = [_Packet(packet.pts, packet.is_keyframe, packet.is_discard, packet.is_corrupt)
                   for packet in _up_to(most_frames, (p for p in container.demux(stream) if p.size), path)]
        stamps = [packet.stamp for packet in packets]
        if None in stamps or len(set(stamps)) < len(stamps) or any(packet.is_bad for packet in packets):
            return None
        # Frames that lean on what was before the beginning of the file may not come out of the decoder.
        if not packets or not packets[0].is_key or min(stamps) < stamps[0]:
            return None
        shown = sorted(packet.stamp for packet in packets if not packet.is_hidden)
        keys = {packet.stamp for packet in packets if packet.is_key} if _SEEKABLE[container.format.name] else set()
        starts = [k for k, stamp in enumerate(shown) if k == 0 or stamp in keys]
        return VideoIndex(shown, starts, _fps(stream, shown))


class _Packet(NamedTuple):
    stamp: int | None
    is_key: bool
    is_hidden: bool  # cut away by the container's edit list
    is_bad: bool


def _index_frames(path: str, most_frames: int | None) -> VideoIndex:
    """Index a file by decoding all of it."""
    stream = open_video(path)
    with stream.container as container:
        stamps = [frame.pts for frame in _up_to(most_frames, container.decode(stream), path)]
        return VideoIndex(stamps, [0], _fps(stream, stamps))


def _up_to(most_frames: int | None, items: Iterable[T], path: str) -> Iterator[T]:
    for number, item in enumerate(items):
        if number == most_frames:
            raise InputError(f'{path} has more than the {most_frames} frames that are taken: cut it')
        yield item


def _fps(stream: VideoStream, stamps: list[int | None]) -> float:
    """As the file states, unless its last frame comes at another time than that says: then the mean."""
    stated = float(stream.average_rate or stream.guessed_rate or _UNKNOWN_FPS)
    known = [stamp for stamp in stamps if stamp is not None]
    steps, ticks = len(known) - 1, max(known, default=0) - min(known, default=0)
    if steps < 1 or not ticks:
        return stated
    seconds = float(ticks * stream.time_base)
    # Half a frame: stamps are rounded, to milliseconds in Matroska.
    return stated if abs(steps / stated - seconds) < 0.5 / stated else steps / seconds
