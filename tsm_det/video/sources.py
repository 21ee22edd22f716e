"""Sources of frames: video files, images, cameras and network streams."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import ClassVar, Protocol

import cv2
import numpy as np

from tsm_det.errors import InputError
from tsm_det.video.cameras import LiveSource, StreamFrame
from tsm_det.video.connection import is_live_address
from tsm_det.video.file_length import is_cut_off
from tsm_det.video.video_file import VideoFile

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
# Images carry no time: treat them as a video at this rate.
IMAGE_FPS = 30.0


class Source(Protocol):
    """One stream of frames, oldest first.

    ``num_frames`` is None if unknown. ``files`` are those it reads. ``is_live``: frames arrive in real time.
    ``is_recorded``: frames wait until they are read.
    """

    name: str
    fps: float
    num_frames: int | None
    files: Sequence[str]
    is_live: bool
    is_recorded: bool

    def frames(self, start: int = 0, stride: int = 1) -> Iterator[StreamFrame | None]:
        """Yield frame ``start`` and every ``stride``-th after it; None while a live source has no new frame.

        Raises:
            InputError: the next frame cannot be read.
        """


@dataclass(frozen=True)
class RecordedSource:
    """Frames of a video file or of images; times are ``frame_id / fps``, also where the frame rate varies."""

    name: str
    fps: float
    images: VideoFile | ImageFiles
    files: Sequence[str]
    is_live: ClassVar = False
    is_recorded: ClassVar = True
    num_frames = property(lambda self: len(self.images))

    def frames(self, start: int = 0, stride: int = 1) -> Iterator[StreamFrame]:
        """Yield frame ``start`` and every ``stride``-th after it."""
        for frame_id in range(start, len(self.images), stride):
            yield StreamFrame(self.name, frame_id, frame_id / self.fps, self.images.read(frame_id))


@dataclass(frozen=True)
class ImageFiles:
    """Images on disk, read on demand."""

    paths: Sequence[str]

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, k: int) -> np.ndarray:
        """Read image ``k``, counted from 0, ``(H, W, 3)`` BGR uint8; raise InputError when it is damaged."""
        path = self.paths[k]
        try:
            image = cv2.imread(path)
        except cv2.error:  # more pixels than OpenCV accepts
            image = None
        if image is None or is_cut_off(path):
            raise InputError(f'{path} cannot be read as a whole image: replace it or remove it from the folder')
        return image


def open_source(source: str | os.PathLike, every_frame: bool = False, stall_limit_s: float = 10.0) -> Source:
    """Open a source given on a command line.

    Args:
        source: a video file; a folder of images, a glob of images such as ``'frames/*.jpg'``, or one image, in
            natural order (2 before 10) and at ``IMAGE_FPS``; a webcam, ``'0'`` or ``/dev/video0``; or an address
            such as ``rtsp://...``, ``http://...``.
        every_frame, stall_limit_s: of a live source; see ``LiveSource``.

    Raises:
        InputError: there is nothing to read.
    """
    path = os.fspath(source)
    if is_live_address(path):
        return LiveSource(path, every_frame, stall_limit_s)
    name = os.path.basename(os.path.abspath(path))
    if os.path.isdir(path):
        return _image_source(name, path, Path(path).iterdir())
    if has_magic(path) and not os.path.exists(path):
        return _image_source(path, path, map(Path, glob(path, recursive=True)))
    if path.lower().endswith(IMAGE_SUFFIXES):
        return _image_source(name, path, filter(Path.exists, [Path(path)]))
    video = VideoFile(path)
    return RecordedSource(name, video.fps, video, [path])


def _image_source(name: str, place: str, paths: Iterable[Path]) -> RecordedSource:
    # File managers write notes whose names start with a dot.
    images = [str(path) for path in paths if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != '.']
    if not images:
        raise InputError(f'{place} has no image ({", ".join(IMAGE_SUFFIXES)}) but a folder or a pattern must give the '
                         'images of one stream: check the path, and name videos one by one')
    # Natural order: splitting by a group puts the numbers at odd positions.
    images.sort(key=lambda path: [
        int(part) if k % 2 else part.lower() for k, part in enumerate(re.split(r'(\d+)', path))])
    return RecordedSource(name, IMAGE_FPS, ImageFiles(images), images)
