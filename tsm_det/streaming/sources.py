"""Where frames come from: a video file, or a folder or glob of images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

import cv2
import numpy as np

from tsm_det.datasets.video_file import VideoFile
from tsm_det.errors import InputError

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
# Images carry no time: they are taken for the frames of a video at this rate.
IMAGE_FPS = 30.0


@dataclass(frozen=True)
class Source:
    """The frames of one stream, oldest first, as ``(frame_id, time_s, image)``; it may be iterated again.

    Frame ids count from 0; the time is ``frame_id / fps``, also where the frame rate varies; the image is
    ``(H, W, 3)`` BGR uint8. Iterating raises InputError at a frame that cannot be read.

    Args:
        name: of the stream: the file's or folder's, or the glob.
        fps: frames per second.
        num_frames: None when unknown.
        images: gives the images.
    """

    name: str
    fps: float
    num_frames: int | None
    images: Iterable[np.ndarray]

    def __iter__(self) -> Iterator[tuple[int, float, np.ndarray]]:
        return ((frame_id, frame_id / self.fps, image) for frame_id, image in enumerate(self.images))


def open_source(source: str | os.PathLike) -> Source:
    """Open what a user names as a source.

    Args:
        source: a video file, a folder of images, a glob of images such as ``'frames/*.jpg'``, or one image;
            images come in natural order (2 before 10) and at ``IMAGE_FPS``.

    Raises:
        InputError: there is nothing to read.
    """
    path = os.fspath(source)
    if os.path.isdir(path):
        return _image_source(os.path.basename(os.path.abspath(path)), path, Path(path).iterdir())
    if has_magic(path) and not os.path.exists(path):
        return _image_source(path, path, map(Path, glob(path, recursive=True)))
    if path.lower().endswith(IMAGE_SUFFIXES):
        return _image_source(os.path.basename(path), path, filter(Path.exists, [Path(path)]))
    video = VideoFile(path)
    return Source(os.path.basename(path), video.fps, len(video), video)


def _image_source(name: str, place: str, paths: Iterable[Path]) -> Source:
    images = sorted((path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES), key=_natural_order)
    if not images:
        raise InputError(f'{place} gives no image but a video file or images ({", ".join(IMAGE_SUFFIXES)}) '
                         'are needed: check the path')
    return Source(name, IMAGE_FPS, len(images), _Images(images))


def _natural_order(path: Path) -> list[str | int]:
    # Splitting by a group puts the numbers at the odd places.
    return [int(part) if place % 2 else part.lower() for place, part in enumerate(re.split(r'(\d+)', str(path)))]


@dataclass(frozen=True)
class _Images:
    paths: list[Path]

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(_read_image, self.paths)


def _read_image(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    if image is None:
        raise InputError(f'{path} cannot be read as an image: fetch it again or take it out of the folder')
    return image
