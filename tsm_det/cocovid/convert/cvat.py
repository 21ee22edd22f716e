"""Convert videos annotated in CVAT to CocoVID."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport, number_classes
from tsm_det.cocovid.convert.cvat_xml import CvatShape, Export, Track, read_export
from tsm_det.cocovid.convert.frame_files import Frame, annotation_files, image_size, images_of, video_frames
from tsm_det.cocovid.convert.frame_numbers import cvat_number
from tsm_det.cocovid.convert.video_pairs import SUFFIXES
from tsm_det.errors import InputError


def convert_cvat(source: str | os.PathLike, videos: str | os.PathLike, out: str | os.PathLike,
                 classes: list[str] | None = None, interpolate: bool = False, ignore: Sequence[str] = (),
                 labelled_frames_only: bool = False, max_gap: int = 5,
                 progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of exports of CVAT, each "CVAT for video 1.1" or "CVAT for images 1.1" of a task or job.

    The annotated frames become images, with a box or without: all of the video, or those from start to stop frame by
    the task's step, less those that have no picture. Every box that is not ``outside`` becomes an annotation of its
    track; shapes without a track are linked. A rotated box becomes the upright one around it. Other shapes are counted
    and left out.

    Args:
        source: an XML file, or a folder with XML files at any depth.
        videos: folder of the videos, named as in CVAT, or of folders of pictures. Pictures that CVAT named
            ``frame_000007`` are numbered by their names; others by their order, from the first frame of the task.
        out: the JSON file to write; its file names are relative to ``videos``.
        classes: the categories in order; None takes the labels of the tasks, in the order of the first.
        interpolate: fill the frames between the boxes of a track, as CVAT does between key frames; else count them.
        ignore: labels of regions in which nothing counts.
        labelled_frames_only: leave out frames without a box, because nobody labelled them.
        max_gap: largest gap in a linked track, see :func:`~tsm_det.cocovid.linking.link_tracks`.
        progress: wraps the list of files.

    Raises InputError when a file cannot be read, its video is missing or another one, or a label is not in ``classes``.
    """
    exports = [read_export(path) for path in annotation_files(Path(source), '.xml')]
    places = _places(exports, Path(videos))
    if classes is None:
        classes = list(dict.fromkeys(label for export in exports for label in export.labels)) or None
    labels = {track.label: f'{export.path} line {track.shapes[0].line}'
              for export in exports for track in export.tracks if track.shapes}
    builder = CocoVIDBuilder(number_classes(labels, classes, ignore), max_gap, ignore=ignore,
                             labelled_frames_only=labelled_frames_only)
    gaps = 0
    for export in progress(exports):
        frames = _frames(export, places[export.path], Path(videos))
        builder.report.left_out.update(export.other)
        boxes = []
        for track in export.tracks:
            shapes = track.shapes
            between = list(_between(track, [frame.frame_id for frame in frames], to_the_end=interpolate))
            if interpolate:
                shapes = shapes + between
            else:
                gaps += len(between)
            boxes += [Box(shape.line, shape.frame, track.label, shape.upright(), track.name, shape.is_occluded)
                      for shape in shapes if not shape.is_outside]
        builder.add_video(_video_name(places[export.path]), frames, boxes, export.path)
    if gaps:
        builder.report.notes.append(f'{gaps} frames inside tracks have no box of their track: give --interpolate to '
                                    'fill them as CVAT does between key frames')
    return builder.write(out)


def _between(track: Track, frames: Sequence[int], to_the_end: bool) -> Iterator[CvatShape]:
    """Interpolate a track as CVAT does: linear in the corners and along the shorter arc of the angle.

    A box stays until the next one, also towards one that is outside, and ``to_the_end`` after the last one.
    """
    if track.name is None or not track.shapes:
        return
    last = track.shapes[-1]
    ends = [last._replace(frame=max(frames[-1], last.frame) + 1, is_outside=True)] * to_the_end
    for before, after in pairwise([*track.shapes, *ends]):
        arc = (after.angle - before.angle + 180) % 360 - 180
        inner = slice(bisect_right(frames, before.frame), bisect_left(frames, after.frame))
        for frame in () if before.is_outside else frames[inner]:
            part = (frame - before.frame) / (after.frame - before.frame)
            yield before._replace(
                frame=frame, angle=before.angle + part * arc,
                corners=tuple(a + part * (b - a) for a, b in zip(before.corners, after.corners, strict=True)))


def _places(exports: list[Export], folder: Path) -> dict[Path, Path]:
    """Find the video or folder of pictures of each export."""
    places: dict[Path, Path] = {}
    for export in exports:
        place = next((path for name in export.names for path in _candidates(folder, name) if os.path.exists(path)),
                     None)
        if place is None:
            raise InputError(f'{export.path} is of {export.names[0]} but {folder} has no such video or folder of '
                             'images: put it there under this name')
        if place in places.values():
            first = next(path for path, taken in places.items() if taken == place)
            raise InputError(f'{export.path} and {first} are both of {place}: keep one, or export the whole task')
        places[export.path] = place
    return places


def _candidates(folder: Path, name: str) -> list[Path]:
    """List possible paths of a video that CVAT names: the name itself, with another suffix, or an unpacked export."""
    # The file may come from anyone: only the last part of a path counts.
    path = Path(name.replace('\\', '/').split('/')[-1])
    names = [path.name, path.stem, *(path.stem + suffix for suffix in SUFFIXES)]
    return [place for name in names if name not in ('', '..') for place in (folder / name / 'images', folder / name)]


def _video_name(place: Path) -> str:
    if place.is_file():
        return place.stem
    return place.parent.name if place.name == 'images' else place.name


def _frames(export: Export, place: Path, folder: Path) -> list[Frame]:
    if place.is_file():
        whole = video_frames(place, place.relative_to(folder).as_posix())
        annotated = range(len(whole)) if export.frames is None else export.frames
        if annotated[-1] >= len(whole):
            raise InputError(f'{export.path} is of the frames {annotated[0]} to {annotated[-1]} but {place} has 0 to '
                             f'{len(whole) - 1}: use the video that was annotated')
        frames = [whole[k] for k in annotated]
    else:
        pictures = sorted(_pictures(export, images_of(place), place).items())
        sizes = [image_size(pictures[0][1])] * len(pictures) if export.size else (image_size(path)
                                                                                  for _, path in pictures)
        frames = [Frame(number, path.relative_to(folder).as_posix(), size)
                  for (number, path), size in zip(pictures, sizes, strict=True)]
    if export.size and export.size != frames[0].size:
        stated, found = (f'{width}x{height}' for height, width in (export.size, frames[0].size))
        raise InputError(f'{export.path} states frames of {stated} px but {place} has {found}: the boxes would be '
                         'misplaced, so use the video that was annotated')
    return frames


def _pictures(export: Export, images: list[Path], place: Path) -> dict[int, Path]:
    """Number the pictures of a folder as the frames of the export."""
    found = [cvat_number(path.name) for path in images]
    numbers = {number: path for number, path in zip(found, images, strict=True) if number is not None}
    listed = export.frames if isinstance(export.frames, range) else set(export.frames or numbers)
    if len(numbers) == len(images) and all(number in listed for number in numbers):
        if 0 not in numbers and (export.frames is None or _has_box(export, 0)):
            raise InputError(f'{place} has no picture of frame 0 but {export.path} does not leave it out: name the '
                             'pictures as CVAT does, frame_000000 for the first frame of the video')
        return numbers
    by_name = {name: path for path in images for name in (path.name, path.stem)}
    names = {frame: Path(name.replace('\\', '/')).name for frame, name in export.pictures.items()}
    if names and all(name in by_name for name in names.values()):
        return {frame: by_name[name] for frame, name in names.items()}
    annotated = range(len(images)) if export.frames is None else export.frames
    if not names and len(annotated) == len(images):
        return dict(zip(annotated, images, strict=True))
    is_whole = None in found or max(numbers) - min(numbers) < len(numbers)
    if not names and is_whole and annotated[-1] < len(images):
        return {k: images[k] for k in annotated}
    raise InputError(f'{export.path} is of {len(annotated)} frames from {annotated[0]} to {annotated[-1]} but {place} '
                     f'has {len(images)} pictures, {images[0].name} to {images[-1].name}: put the pictures there as '
                     'CVAT exports them')


def _has_box(export: Export, frame: int) -> bool:
    return any(shape.frame == frame and not shape.is_outside for track in export.tracks for shape in track.shapes)
