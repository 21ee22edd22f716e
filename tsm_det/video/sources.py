"""Where frames come from: video files, images, cameras and network streams."""

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
from tsm_det.video.cameras import Frame, LiveSource, is_live_address
from tsm_det.video.file_length import is_cut_off
from tsm_det.video.video_file import VideoFile

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
# Images carry no time: they are taken for the frames of a video at this rate.
IMAGE_FPS = 30.0


class Source(Protocol):
    """One stream of frames, oldest first.

    ``name`` of the stream, ``fps``, ``num_frames`` (None when unknown), ``files`` that are read, ``is_live``: frames
    come when they come, and ``is_recorded``: none is lost while nobody looks.
    """

    name: str
    fps: float
    num_frames: int | None
    files: Sequence[str]
    is_live: bool
    is_recorded: bool

    def frames(self, start: int = 0, stride: int = 1) -> Iterator[Frame | None]:
        """Frame ``start`` and every ``stride``-th after it; None where a live source has no new one yet.

        Raises:
            InputError: the next frame cannot be read.
        """


@dataclass(frozen=True)
class RecordedSource:
    """Frames of a file or of a folder: times are ``frame_id / fps``, also where the frame rate varies."""

    name: str
    fps: float
    images: VideoFile | ImageFiles
    is_live: ClassVar = False
    is_recorded: ClassVar = True

    @property
    def num_frames(self) -> int:
        """How many there are."""
        return len(self.images)

    @property
    def files(self) -> list[str]:
        """What is read."""
        return [self.images.path] if isinstance(self.images, VideoFile) else list(map(os.fspath, self.images.paths))

    def frames(self, start: int = 0, stride: int = 1) -> Iterator[Frame]:
        """Frame ``start`` and every ``stride``-th after it."""
        for frame_id in range(start, len(self.images), stride):
            yield Frame(frame_id, frame_id / self.fps, self.images.read(frame_id))


class ImageFiles:
    """Images on disk, read when their turn comes."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, k: int) -> np.ndarray:
        """Image ``k``, counted from 0, ``(H, W, 3)`` BGR uint8."""
        try:
            image = cv2.imread(str(self.paths[k]))
        except cv2.error:  # more pixels than OpenCV takes
            image = None
        if image is None or is_cut_off(self.paths[k]):
            raise InputError(f'{self.paths[k]} cannot be read as an image{" to its end" * (image is not None)}: fetch '
                             'it again or take it out of the folder')
        return image


def open_source(source: str | os.PathLike, every_frame: bool = False, stall_limit_s: float = 10.0) -> Source:
    """Open what a user names as a source.

    Args:
        source: a video file; a folder of images, a glob of images such as ``'frames/*.jpg'``, or one image, in
            natural order (2 before 10) and at ``IMAGE_FPS``; a webcam, ``'0'`` or ``/dev/video0``; or an address
            such as ``rtsp://...``, ``http://...``.
        every_frame: of a live source drop no frame; see ``LiveSource``.
        stall_limit_s: how long a live source may give no frame.

    Raises:
        InputError: there is nothing to read.
    """
    path = os.fspath(source)
    if is_live_address(path):
        return LiveSource(path, every_frame, stall_limit_s)
    if os.path.isdir(path):
        return _image_source(os.path.basename(os.path.abspath(path)), path, Path(path).iterdir())
    if has_magic(path) and not os.path.exists(path):
        return _image_source(path, path, map(Path, glob(path, recursive=True)))
    if path.lower().endswith(IMAGE_SUFFIXES):
        return _image_source(os.path.basename(path), path, filter(Path.exists, [Path(path)]))
    video = VideoFile(path)
    return RecordedSource(os.path.basename(path), video.fps, video)


def _image_source(name: str, place: str, paths: Iterable[Path]) -> RecordedSource:
    # Files that begin with a dot are notes of a file manager, whatever they end in.
    images = sorted((path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != '.'),
                    key=_natural_order)
    if not images:
        raise InputError(f'{place} gives no image ({", ".join(IMAGE_SUFFIXES)}) but a folder or a pattern stands for '
                         'the images of one stream: check the path, and name videos one by one')
    return RecordedSource(name, IMAGE_FPS, ImageFiles(images))


def _natural_order(path: Path) -> list[str | int]:
    # Splitting by a group puts the numbers at the odd places.
    return [int(part) if place % 2 else part.lower() for place, part in enumerate(re.split(r'(\d+)', str(path)))]
