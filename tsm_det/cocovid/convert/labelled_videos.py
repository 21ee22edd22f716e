"""What the converters of data sets share: a video as frames and boxes, ignored regions, folders of numbered images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport
from tsm_det.cocovid.convert.frame_files import Frame, image_size, images_of
from tsm_det.cocovid.convert.name_numbers import number_images
from tsm_det.errors import InputError


class LabelledVideo(NamedTuple):
    """A video: its boxes come from ``source``, its frames are listed when they are needed."""

    name: str
    source: Path
    boxes: list[Box]
    frames: Callable[[], list[Frame]]


def region(line: int, frame: int, box: tuple[float, float, float, float]) -> Box:
    """Return an ignored region of every class."""
    return Box(line, frame, None, box, is_crowd=True)


def labels_of(videos: list[LabelledVideo], counted_by: str = 'line') -> dict[str, str]:
    """Return a place of each label in use, as :func:`~tsm_det.cocovid.builder.number_classes` takes it."""
    return {box.label: f'{video.source} {counted_by} {box.line}'
            for video in videos for box in video.boxes if box.label is not None}


def write_videos(videos: list[LabelledVideo], builder: CocoVIDBuilder, out: str | os.PathLike,
                 progress: Callable[[list], Iterable]) -> ConversionReport:
    """Write the CocoVID file of the videos; raise InputError when it would have no box."""
    for video in progress(videos):
        builder.add_video(video.name, video.frames(), video.boxes, video.source)
    return builder.write(out)


def numbered_images(folder: Path, first: int) -> dict[int, Path]:
    """Return the images of a folder by frame id, which is the number at the end of their name less ``first``.

    Raises InputError when an image has no number, the number of another, or one below ``first``.
    """
    images = dict(sorted(number_images(images_of(folder)).items()))
    if (lowest := min(images)) < first:
        raise InputError(f'{images[lowest]} has the number {lowest} but this data set counts from {first}: rename the '
                         'images as the data set does')
    return {number - first: path for number, path in images.items()}


def image_frames(images: dict[int, Path], prefix: str) -> list[Frame]:
    """List the frames of images by frame id; ``prefix`` is the folder in their file names."""
    return [Frame(frame_id, f'{prefix}{path.name}', image_size(path)) for frame_id, path in images.items()]


def pair_folders(files: Path, suffix: str, images: Path) -> list[tuple[Path, Path]]:
    """Pair each annotation file with the folder of images of the same name.

    Raises InputError when a folder does not exist, or a file or folder has no partner.
    """
    for folder in (files, images):
        if not folder.is_dir():
            raise InputError(f'{folder} is not a folder: name the folder that holds {files.name}/ and {images.name}/')
    names = {path.stem: path for path in sorted(files.iterdir()) if path.suffix == suffix and path.name[0] != '.'}
    folders = {path.name: path for path in sorted(images.iterdir()) if path.is_dir() and path.name[0] != '.'}
    if not names:
        raise InputError(f'{files} holds no {suffix[1:].upper()} file: put the annotations there')
    for name in sorted(names.keys() ^ folders.keys()):
        here, there = (images / name, f'{files.name}/{name}{suffix}') if name in folders else (
            names[name], f'{images.name}/{name}/')
        raise InputError(f'{here} has no {there}: add it, or move {here.name} elsewhere')
    return [(path, folders[name]) for name, path in names.items()]
