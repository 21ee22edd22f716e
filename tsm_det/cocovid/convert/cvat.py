"""Videos annotated in CVAT, turned into one CocoVID file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from tsm_det.cocovid.builder import CocoVIDBuilder, ConversionReport, number_classes
from tsm_det.cocovid.convert.csv_videos import SUFFIXES
from tsm_det.cocovid.convert.cvat_xml import Annotated, read_cvat
from tsm_det.cocovid.convert.frame_files import Frame, image_size, images_of, video_frames
from tsm_det.errors import InputError


def convert_cvat(source: str | os.PathLike, videos: str | os.PathLike, out: str | os.PathLike,
                 classes: list[str] | None = None, progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of exports of CVAT, each "CVAT for video 1.1" of a task or a job.

    The frames that were annotated become images, with a box or without: all of the video, or those from start
    to stop frame by the task's step. Every box that is not ``outside`` becomes an annotation of its track; frames
    that a track skips stay without its box. A rotated box becomes the upright one around it. Other shapes are
    counted and left out.

    Args:
        source: an XML file, or a folder that holds some, at any depth.
        videos: folder of the videos, called as in CVAT, or of folders of images (frame k is the k-th by name).
        out: the JSON file to write; its file names are relative to ``videos``.
        classes: the categories in order; None takes the labels of the tasks, in the order of the first.
        progress: wraps the list of files.

    Raises:
        InputError: a file cannot be read, its video is missing or another one, or a label is not in ``classes``.
    """
    exports = [read_cvat(path) for path in _files(Path(source))]
    places = _places(exports, Path(videos))
    if classes is None:
        classes = list(dict.fromkeys(label for export in exports for label in export.labels)) or None
    found = {box.label: f'{export.path} line {box.line}' for export in exports for box in export.boxes}
    builder = CocoVIDBuilder(number_classes(found, classes))
    for export in progress(exports):
        place = places[export.path]
        builder.report.left_out.update(export.other)
        builder.add_video(place.stem if place.is_file() else place.name, _frames(export, place), export.boxes,
                          export.path)
    return builder.write(out)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    files = sorted(source.rglob('*.xml')) if source.is_dir() else []
    if not files:
        raise InputError(f'{source} holds no XML file: name one, or a folder of them, unpacked from what CVAT exported')
    return files


def _places(exports: list[Annotated], folder: Path) -> dict[Path, Path]:
    """Where the frames of each export are."""
    places = {}
    for export in exports:
        place = next((path for name in export.names for path in _candidates(folder, name) if os.path.exists(path)),
                     None)
        if place is None:
            raise InputError(f'{export.path} is of {export.names[0]} but {folder} has no such video or folder of '
                             'images: put it there, named so')
        if place in places.values():
            first = next(path for path, taken in places.items() if taken == place)
            raise InputError(f'{export.path} and {first} are both of {place}: keep one, or export the whole task')
        places[export.path] = place
    return places


def _candidates(folder: Path, name: str) -> list[Path]:
    """What may be the video of a name that CVAT wrote: as it stands, or with another suffix or none."""
    # Names come out of files of strangers: nothing but their last part leads anywhere.
    path = Path(name.replace('\\', '/').split('/')[-1])
    names = [path.name, path.stem, *(path.stem + suffix for suffix in SUFFIXES)]
    return [folder / name for name in names if name not in ('', '..')]


def _frames(export: Annotated, place: Path) -> list[Frame]:
    """The annotated frames of a video."""
    if place.is_file():
        frames = video_frames(place, place.name)
    else:
        images = images_of(place)
        sizes = [image_size(images[0])] * len(images) if export.size else map(image_size, images)
        frames = [Frame(k, f'{place.name}/{path.name}', size)
                  for k, (path, size) in enumerate(zip(images, sizes, strict=True))]
    if export.size and export.size != frames[0].size:
        stated, found = (f'{width}x{height}' for height, width in (export.size, frames[0].size))
        raise InputError(f'{export.path} states frames of {stated} px but {place} has {found}: the boxes would be out '
                         'of place, so take the video that was annotated')
    annotated = range(len(frames)) if export.frames is None else export.frames
    if not annotated or annotated[-1] >= len(frames):
        raise InputError(f'{export.path} is of the frames {annotated.start} to {annotated.stop - 1} but {place} has '
                         f'0 to {len(frames) - 1}: take the video that was annotated')
    return [frames[k] for k in annotated]
