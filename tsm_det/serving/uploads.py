"""Video files that strangers send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av

from tsm_det.errors import InputError
from tsm_det.serving.limits import Limits
from tsm_det.video.video_file import VideoFile

# Containers that hold their own data. FFmpeg also takes playlists, which name other files and addresses to be read.
_FORMATS = 'mov,mp4,matroska,webm,mpegts,avi,flv,mpeg,ogg,asf'


# Some files are decoded whole, which nothing can stop: who comes again and again does not take all threads.
_OPENING = ThreadPoolExecutor(2, 'open_upload')


class TooLargeError(InputError):
    """The file has more bytes than are taken."""


async def receive_file(chunks: AsyncIterator[bytes], path: Path, limits: Limits) -> None:
    """Write what comes to a file.

    Args:
        chunks: the file; an empty one, or none, ends it.
        path: of the new file; there is none where this raises.
        limits: of which the bytes are counted while they come, and a pause of ``idle_s`` is the end.

    Raises:
        InputError: it is too large, stopped coming, or does not fit on the disk.
    """
    size = 0
    try:
        with open(path, 'xb') as file:
            while chunk := await asyncio.wait_for(anext(chunks, b''), limits.idle_s):
                size += len(chunk)
                if size > limits.upload_bytes:
                    raise TooLargeError(too_large(limits))
                file.write(chunk)
    except (asyncio.TimeoutError, OSError) as error:
        path.unlink(missing_ok=True)
        reason = 'it stopped coming' if isinstance(error, asyncio.TimeoutError) else error.strerror
        raise InputError(f'the file could not be stored ({reason}): try again') from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def too_large(limits: Limits) -> str:
    """The sentence about a file with too many bytes."""
    return (f'the file is larger than the {limits.upload_bytes / 1e6:g} MB that are taken: cut it, or have the server '
            'started with a higher --max-upload-mb')


async def open_upload(path: Path, limits: Limits) -> VideoFile:
    """Open a stranger's video file, if it is one within the limits, beside other work.

    Raises:
        InputError: it is not; the message does not say where the file lies.
    """
    return await asyncio.get_running_loop().run_in_executor(_OPENING, _open, path, limits)


def _open(path: Path, limits: Limits) -> VideoFile:
    try:
        with av.open(str(path), options={'format_whitelist': _FORMATS, 'protocol_whitelist': 'file'}) as container:
            video = container.streams.best('video')
            coder = video and video.codec_context
            if coder:
                check_pixels(coder.width, coder.height, limits)
            _check_duration((container.duration or 0) / av.time_base, limits)
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError('the file cannot be read as a video: choose a video file, such as mp4, mkv or webm') from error
    try:
        opened = VideoFile(path, limits.frames)
    except InputError as error:
        raise InputError(str(error).replace(str(path), 'the file')) from error
    _check_duration(len(opened) / opened.fps, limits)
    return opened


def check_pixels(width: int, height: int, limits: Limits) -> None:
    """Raise InputError when frames of a video have too many pixels, which one frame may and another not."""
    if width * height > limits.pixels:
        raise InputError(f'the video has {width} x {height} pixels but at most {limits.pixels} are taken: '
                         'scale it down')


def _check_duration(seconds: float, limits: Limits) -> None:
    if seconds > limits.video_s:
        raise InputError(f'the video is {seconds / 60:.0f} minutes long but at most {limits.video_s / 60:g} are taken: '
                         'cut it')
