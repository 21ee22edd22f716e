"""Sources of frames: video files, images, cameras and network streams."""

from __future__ import annotations

import gc
import os
import unicodedata
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np

from tsm_det.errors import InputError
from tsm_det.video.cameras import LiveSource, StreamFrame
from tsm_det.video.connection import DEFAULT_CAMERA, CameraSettings, is_live_address
from tsm_det.video.file_length import is_cut_off
from tsm_det.video.levels import ValueRange, read_image, warn_of_lost_levels
from tsm_det.video.picture_count import check_single
from tsm_det.video.source_names import IMAGE_SUFFIXES, files_of, is_many
from tsm_det.video.video_file import VideoFile

# Images carry no time: treat them as a video at this rate.
IMAGE_FPS = 30.0


class Source(Protocol):
    """One stream of frames, oldest first.

    ``num_frames`` is None if unknown. ``files`` are those it reads. ``is_live``: frames arrive in real time.
    ``is_recorded``: frames wait until they are read.
    """

    @property
    def name(self) -> str: ...

    @property
    def fps(self) -> float: ...

    @property
    def num_frames(self) -> int | None: ...

    @property
    def files(self) -> Sequence[str]: ...

    @property
    def is_live(self) -> bool: ...

    @property
    def is_recorded(self) -> bool: ...

    def frames(self, start: int = 0, stride: int = 1) -> Generator[StreamFrame | None]:
        """Yield frame ``start`` and every ``stride``-th after it; None while a live source has no new frame.

        Raises:
            InputError: the next frame cannot be read.
        """


@dataclass(frozen=True)
class RecordedSource:
    """Frames of a video file, at the times of their stamps, or of images.

    Sources with the same ``queue`` run one after another.
    """

    name: str
    fps: float
    images: VideoFile | ImageFiles
    files: Sequence[str]
    queue: str | None = None
    is_live: ClassVar = False
    is_recorded: ClassVar = True
    num_frames = property(lambda self: len(self.images))

    def frames(self, start: int = 0, stride: int = 1) -> Generator[StreamFrame]:
        """Yield frame ``start`` and every ``stride``-th after it; the file is open until the end."""
        times_s = self.images.times_s
        try:
            for frame_id in range(start, len(self.images), stride):
                yield StreamFrame(self.name, frame_id, times_s[frame_id], self.images.read(frame_id))
        finally:
            self.images.close()
            # PyAV's containers and streams reference each other, and keep 30 MB of frames at 720p.
            gc.collect()


@dataclass(frozen=True)
class ImageFiles:
    """Images on disk, read on demand; ``value_range`` is that of ``read_image``."""

    paths: Sequence[str]
    value_range: ValueRange | None = None
    times_s = property(lambda self: [k / IMAGE_FPS for k in range(len(self.paths))])

    def __len__(self) -> int:
        return len(self.paths)

    def close(self) -> None:
        """Nothing stays open between reads."""

    def read(self, k: int) -> np.ndarray:
        """Read image ``k``, counted from 0, ``(H, W, 3)`` BGR uint8.

        Raises InputError when it is damaged or holds several pictures.
        """
        path = self.paths[k]
        check_single(path)
        if self.value_range is None:
            warn_of_lost_levels(path)
        try:
            if is_cut_off(path):
                raise OSError(f'{path} is cut off')
            return read_image(path, self.value_range)
        except OSError as error:
            raise InputError(f'{path} cannot be read as a whole image: replace it or remove it from the '
                             'folder') from error


def in_levels(source: Source, value_range: ValueRange | None) -> Source:
    """The same source; its images or video of more than 8 bits, if any, are read by a range of values."""
    if value_range is None or not isinstance(source, RecordedSource):
        return source
    if isinstance(source.images, ImageFiles):
        return replace(source, images=replace(source.images, value_range=value_range))
    return replace(source, images=VideoFile(source.images.path, value_range=value_range))


def open_source(source: str | os.PathLike, every_frame: bool = False, stall_limit_s: float = 10.0,
                camera: CameraSettings = DEFAULT_CAMERA, queue: str | None = None) -> Source:
    """Open one source given on a command line.

    Args:
        source: a video file; a folder of images, a glob of images such as ``'frames/*.jpg'``, or one image, in
            natural order (2 before 10) and at ``IMAGE_FPS``; a webcam, ``'0'`` or ``/dev/video0``; or an address
            such as ``rtsp://...``, ``http://...``. ``~`` is the home folder.
        every_frame, stall_limit_s, camera: of a live source; see ``LiveSource``.
        queue: of a recorded source; see ``RecordedSource``.

    Raises:
        InputError: there is nothing to read.
    """
    path = os.path.expanduser(source)
    if is_live_address(path):
        return LiveSource(path, every_frame, stall_limit_s, camera)
    name = os.path.basename(os.path.abspath(path))
    if is_many(path):
        name, images = name if os.path.isdir(path) else path, files_of(path)
    elif path.lower().endswith(IMAGE_SUFFIXES):
        images = list(filter(os.path.exists, [path]))
    else:
        video = VideoFile(path)
        return RecordedSource(printable(name), video.fps, video, [path], queue)
    if not images or not images[0].lower().endswith(IMAGE_SUFFIXES):
        raise InputError(f'{path} has no image ({", ".join(IMAGE_SUFFIXES)}) but must give the images of one stream: '
                         'check the path')
    return RecordedSource(printable(name), IMAGE_FPS, ImageFiles(images), images, queue)


def printable(name: str) -> str:
    """A file's name with escapes for control characters and bytes that are not UTF-8, which tables and XML lack."""
    return ''.join(letter.encode('unicode_escape').decode() if unicodedata.category(letter) in ('Cc', 'Cs') else letter
                   for letter in name)
