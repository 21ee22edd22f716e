"""The frames of a video file and where decoding can start, for random access."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import av
from av.stream import Disposition
from av.video.stream import VideoStream

from tsm_det.errors import InputError
from tsm_det.video.file_length import is_cut_off
from tsm_det.video.frame_times import FrameClock, stamp_of, usual_step

_DEFAULT_FPS = 30.0
# Formats with reliable time stamps, and whether seeking to one is exact.
_SEEKABLE = {'mov,mp4,m4a,3gp,3g2,mj2': True, 'matroska,webm': True, 'mpegts': False}
# Codecs with one displayed frame per packet.
_ONE_TO_ONE = {'av1', 'ffv1', 'h264', 'hevc', 'mjpeg', 'mpeg4', 'prores', 'vp9'}


class VideoIndex(NamedTuple):
    """The frames of a video file: time stamps in display order, None where the container has none.

    Decoding can start at frames ``starts``, ascending from 0. ``times_s`` are seconds since frame 0. ``fps`` is the
    mean where the rate varies.
    """

    stamps: list[int | None]
    starts: list[int]
    times_s: list[float]
    fps: float


def index_video(path: str, most_frames: int | None = None) -> VideoIndex:
    """Index a video file; the index of an unchanged file is cached.

    mp4, mov, mkv, webm and ts files are read without decoding (30 ms per minute of 720p); others are decoded once.
    Reading stops at ``most_frames``, and that index is not cached; None for any number.

    Raises:
        InputError: the file is missing, not a video, empty, truncated or damaged, or has too many frames.
    """
    try:
        status = os.stat(path)
        if os.path.isdir(path) or status.st_size == 0:
            raise InputError(f'{path} is a folder or empty but a video file is needed: check the path')
        index = _index if most_frames is None else _index.__wrapped__
        return index(path, most_frames, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise InputError(f'{path} cannot be opened ({error.strerror}) but a video file is needed: '
                         'check the path') from error


def open_video(path: str) -> VideoStream:
    """Open the video stream of a file; the caller closes its container.

    Decoding uses no threads, which a fork would lose. Raises InputError when the file is not a video.
    """
    try:
        # A relative path with a colon would be read as a network address.
        container = av.open(os.path.abspath(path))
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise InputError(f'{path} cannot be read as a video ({error.args[1]}): '
                         'give a video file, such as mp4, mkv or webm') from error
    stream = container.streams.best('video')
    # FFmpeg reads plain text as an animation and the cover of a song as a video.
    if (not isinstance(stream, VideoStream) or container.format.name == 'tty'
            or Disposition.attached_pic in stream.disposition):
        raise InputError(f'{path} has no video but a video file is needed: check the path')
    if stream.codec_context is None:
        raise InputError(f'{path} is in a format that this PyAV cannot decode: re-encode it as H.264')
    stream.codec_context.thread_count = 1
    return stream


@lru_cache(maxsize=256)
def _index(path: str, most_frames: int | None, _size: int, _changed_ns: int) -> VideoIndex:
    if is_cut_off(path):
        raise InputError(f'{path} is cut off, it ends in the middle of its data: fetch it again')
    try:
        index = _index_packets(path, most_frames) or _index_frames(path, most_frames)
    except (av.FFmpegError, IndexError) as error:  # damage can make PyAV raise an IndexError
        raise InputError(f'{path} is damaged ({getattr(error, "strerror", "in its streams")}): download or '
                         'copy it again, or re-encode it') from error
    if not index.stamps:
        raise InputError(f'{path} has no frame that can be decoded but a video is needed: fetch it again')
    return index


def _index_packets(path: str, most_frames: int | None) -> VideoIndex | None:
    """Index a file by its packets, without decoding; None if they may not match the displayed frames."""
    stream = open_video(path)
    with stream.container as container:
        if container.format.name not in _SEEKABLE or stream.codec.canonical_name not in _ONE_TO_ONE:
            return None
        stamps, keys, hidden, is_corrupt, last = [], set(), set(), False, None
        for packet in _up_to(most_frames, (packet for packet in container.demux(stream) if packet.size), path):
            stamps.append(packet.pts)
            keys |= {packet.pts} if packet.is_keyframe else set()
            hidden |= {packet.pts} if packet.is_discard else set()  # removed by the container's edit list
            # Recordings joined one behind the other start their stamps again.
            is_corrupt |= packet.is_corrupt or (None not in (last, packet.dts) and packet.dts < last)
            last = packet.dts
        if not stamps or is_corrupt or None in stamps or len(set(stamps)) < len(stamps):
            return None
        # The decoder may skip frames that reference frames before the start of the file.
        if stamps[0] not in keys or min(stamps) < stamps[0]:
            return None
        shown = sorted(set(stamps) - hidden)
        is_exact = _SEEKABLE[container.format.name]
        starts = [k for k, stamp in enumerate(shown) if k == 0 or (is_exact and stamp in keys)]
        return VideoIndex(shown, starts, *_times_and_fps(stream, shown))


def _index_frames(path: str, most_frames: int | None) -> VideoIndex:
    """Index a file by decoding it."""
    stream = open_video(path)
    with stream.container as container:
        name = container.format.name
        stamps = [(frame.pts, stamp_of(frame, name)) for frame in _up_to(most_frames, container.decode(stream), path)]
        return VideoIndex([pts for pts, _ in stamps], [0], *_times_and_fps(stream, [stamp for _, stamp in stamps]))


def _up_to(most_frames: int | None, items: Iterable, path: str) -> Iterator:
    for number, item in enumerate(items):
        if number == most_frames:
            raise InputError(f'{path} has more than {most_frames} frames, the largest number allowed: shorten it')
        yield item


def _times_and_fps(stream: VideoStream, stamps: list[int | None]) -> tuple[list[float], float]:
    """The times, and the stated rate if it matches the time of the last frame, else the mean rate."""
    stated = float(stream.average_rate or stream.guessed_rate or _DEFAULT_FPS)
    assert stream.time_base is not None
    clock = FrameClock(stream.time_base, usual_step(stamps, stream.time_base, stated))
    times_s = list(map(clock, stamps))
    steps, seconds = len(times_s) - 1, times_s[-1] if times_s else 0
    # Within half a frame: stamps are rounded, to milliseconds in Matroska.
    is_stated = seconds == 0 or abs(steps / stated - seconds) < 0.5 / stated
    return times_s, stated if is_stated else steps / seconds
