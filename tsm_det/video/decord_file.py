"""Video files read by decord, where their packets prove that it reads them exactly."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.stream import VideoStream

from tsm_det.errors import InputError
from tsm_det.video.levels import ValueRange
from tsm_det.video.video_file import VideoFile
from tsm_det.video.video_index import index_video, open_video

READERS = ('pyav', 'decord')
# Frames per read: decord decodes ahead without bound for as long as it may.
_CHUNK = 8
_FORMATS = ('mov,mp4,m4a,3gp,3g2,mj2', 'matroska,webm')


class _NalUnits(NamedTuple):
    """Types of NAL units (ISO/IEC 14496-10 and 23008-2, chapter 7.4), their place in the first byte of a unit, and the
    byte of the decoder configuration (14496-15) that holds the number of bytes of a unit's length.
    """

    idr: frozenset[int]
    pictures: frozenset[int]
    shift: int
    mask: int
    length_place: int


_CODECS = {'h264': _NalUnits(frozenset({5}), frozenset(range(1, 6)), 0, 31, 4),
           'hevc': _NalUnits(frozenset({19, 20}), frozenset(range(32)), 1, 63, 21)}


def open_frames(path: str | os.PathLike, reader: str = 'pyav', value_range: ValueRange | None = None) -> VideoFile:
    """Open a video file for random access by a reader, ``pyav`` or ``decord``.

    decord reads a file only if :func:`packet_doubt` and :func:`picture_doubt` find nothing; otherwise PyAV does, and
    the log says why. ``value_range``: see ``VideoFile``.

    Raises:
        InputError: the file cannot be read, or ``reader`` is unknown or not installed.
    """
    check_reader(reader)
    if reader == 'pyav':
        return VideoFile(path, value_range=value_range)
    path = os.fspath(path)
    index_video(path)
    status = os.stat(path)
    is_doubtful = _logged_doubt(path, status.st_size, status.st_mtime_ns)  # so is any file of more than 8 bits
    return VideoFile(path, value_range=value_range) if is_doubtful else DecordFile(path)


def check_reader(reader: str) -> None:
    """Raise InputError when a reader is unknown or not installed."""
    if reader not in READERS:
        raise InputError(f'reader is {reader!r} but must be one of {", ".join(READERS)}')
    if reader == 'decord':
        _decord()


class DecordFile(VideoFile):
    """Reads the frames of a video file by decord, in bounded memory; see ``VideoFile``."""

    _reader: Any
    _images: dict[int, np.ndarray]

    def close(self) -> None:
        """Release the decoder and its frames; the next read opens the file again."""
        super().close()
        self._reader, self._images = None, {}

    def count(self) -> int:
        """Number of frames that decord counts."""
        with self._reading():
            return len(self._reader)

    def _image(self, k: int) -> np.ndarray:
        if k not in self._images:
            chunk = range(k, min(k + _CHUNK, len(self)))
            with self._reading():
                self._images = dict(zip(chunk, self._reader.get_batch(list(chunk)).asnumpy(), strict=True))
                self._reader.seek(0)  # ends decoding ahead
        return cv2.cvtColor(self._images[k], cv2.COLOR_RGB2BGR)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        decord = _decord()
        try:
            self._reader = self._reader or decord.VideoReader(self.path, num_threads=1)
            yield
        except decord.DECORDError as error:
            raise InputError(f'{self.path} cannot be decoded by decord: the file is damaged, fetch it again, or use '
                             "reader='pyav'") from error


def packet_doubt(path: str) -> str | None:
    """Why decord may give other frames than sequential decoding, by the packets of a file; None if it cannot.

    decord seeks to a key frame and counts shown frames from there on. That is exact if the container removes no frame,
    and each key frame needs no frame before it (IDR) with nothing before it in display order.
    """
    stream = open_video(path)
    with stream.container as container:
        codec = stream.codec.canonical_name
        if container.format.name not in _FORMATS:
            return f'it is {container.format.name}, not mp4, mkv or webm'
        if codec not in (*_CODECS, 'vp9'):
            return f'{codec} does not mark frames where decoding can start'
        number, key = 0, None
        for packet in container.demux(stream):
            if not packet.size:
                continue
            number += 1
            if packet.is_discard:
                return 'its edit list hides frames'
            if packet.is_corrupt or packet.pts is None:
                return 'it is damaged or has no time stamps'
            if packet.is_keyframe:
                key = packet.pts
                if codec in _CODECS and not _is_idr(bytes(packet), stream):
                    return f'its key frame at {float(packet.pts * packet.time_base):g} s is no IDR frame'
            elif key is None or packet.pts < key:
                return f'a frame is shown before its key frame at {float(packet.pts * packet.time_base):g} s'
        if stream.frames and number != stream.frames:
            return f'its edit list shows {number} of {stream.frames} frames'
    return None


def picture_doubt(path: str) -> str | None:
    """Why decord's frames may look different from PyAV's; None if they do not."""
    stream = open_video(path)
    with stream.container as container:
        pixels = stream.codec_context.format
        assert pixels is not None
        if pixels.components[0].bits != 8:
            return 'its colours have more than 8 bits'
        if next(container.decode(stream)).side_data.get(Type.DISPLAYMATRIX) is not None:
            return 'it is rotated or mirrored'
    ours = VideoFile(path)
    try:
        theirs = DecordFile(path)
        if theirs.count() != len(ours):
            return f'decord counts {theirs.count()} frames of {len(ours)}'
        return None if np.array_equal(theirs.read(0), ours.read(0)) else 'decord gives another first frame'
    except InputError:
        return 'decord cannot decode it'


@lru_cache(maxsize=4096)
def _logged_doubt(path: str, _size: int, _changed_ns: int) -> str | None:
    if reason := packet_doubt(path) or picture_doubt(path):
        logging.getLogger(__name__).warning('%s is read by PyAV, not by decord: %s', path, reason)
    return reason


def _is_idr(packet: bytes, stream: VideoStream) -> bool:
    """Whether all pictures of a packet are IDR; False when its NAL units have no lengths in front."""
    units = _CODECS[stream.codec.canonical_name]
    header = stream.codec_context.extradata or b''
    if len(header) <= units.length_place or header[0] != 1:
        return False
    width, found, place = (header[units.length_place] & 3) + 1, set(), 0
    while place + width < len(packet):
        found.add(packet[place + width] >> units.shift & units.mask)
        place += width + int.from_bytes(packet[place:place + width], 'big')
    return bool(found & units.idr) and found & units.pictures <= units.idr


def _decord() -> ModuleType:
    try:
        return import_module('decord')
    except ImportError as error:
        raise InputError("reader is 'decord' but the package decord is not installed: "
                         "pip install 'tsm_det[decord]', or leave reader out") from error
