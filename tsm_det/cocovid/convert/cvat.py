"""Convert videos annotated in CVAT to CocoVID."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport, number_classes
from tsm_det.cocovid.convert.csv_videos import SUFFIXES
from tsm_det.cocovid.convert.frame_files import Frame, image_size, images_of, parse_number, video_frames
from tsm_det.errors import InputError

_LINE = ' line'  # not a possible name of an XML attribute
_EXPORT_AGAIN = 'export the task as "CVAT for video 1.1"'


def convert_cvat(source: str | os.PathLike, videos: str | os.PathLike, out: str | os.PathLike,
                 classes: list[str] | None = None, progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of exports of CVAT, each "CVAT for video 1.1" of a task or a job.

    The annotated frames become images, with a box or without: all of the video, or those from start to stop frame by
    the task's step. Every box that is not ``outside`` becomes an annotation of its track; frames that a track skips
    get no box of it. A rotated box becomes the upright one around it. Other shapes are counted and left out.

    Args:
        source: an XML file, or a folder with XML files at any depth.
        videos: folder of the videos, named as in CVAT, or of folders of images (frame k is the k-th by name).
        out: the JSON file to write; its file names are relative to ``videos``.
        classes: the categories in order; None takes the labels of the tasks, in the order of the first.
        progress: wraps the list of files.

    Raises InputError when a file cannot be read, its video is missing or another one, or a label is not in ``classes``.
    """
    exports = [_read(path) for path in _files(Path(source))]
    places = _places(exports, Path(videos))
    if classes is None:
        classes = list(dict.fromkeys(label for export in exports for label in export.labels)) or None
    labels = {box.label: f'{export.path} line {box.line}' for export in exports for box in export.boxes}
    builder = CocoVIDBuilder(number_classes(labels, classes))
    for export in progress(exports):
        place = places[export.path]
        builder.report.left_out.update(export.other)
        builder.add_video(place.stem if place.is_file() else place.name, _frames(export, place), export.boxes,
                          export.path)
    return builder.write(out)


class _Export(NamedTuple):
    """The annotations of one video."""

    path: Path
    names: list[str]  # possible names of the video, the likeliest first
    labels: list[str]
    boxes: list[Box]
    frames: range | None  # annotated frames; None is all of the video
    size: tuple[int, int] | None  # (H, W)
    other: Counter[str]  # number of shapes of other kinds


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    files = sorted(source.rglob('*.xml')) if source.is_dir() else []
    if not files:
        raise InputError(f'{source} holds no XML file: name one, or a folder with unpacked exports of CVAT')
    return files


def _read(path: Path) -> _Export:
    root = _parse(path)
    if root.tag != 'annotations':
        raise InputError(f'{path} begins with <{root.tag}> but <annotations> is required: {_EXPORT_AGAIN}')
    if root.find('image') is not None:
        raise InputError(f'{path} is "CVAT for images", which has no tracks: {_EXPORT_AGAIN}')
    if root.find('meta/project') is not None:
        raise InputError(f'{path} is the export of a project, which numbers the frames of all tasks together: export '
                         'each task')
    metas = (root.find(f'meta/{kind}') for kind in ('task', 'job'))
    meta = next((meta for meta in metas if meta is not None), Element('task'))
    boxes, other = [], Counter()
    for track in root.iterfind('track'):
        for shape in track:
            if shape.get('outside') == '1':
                continue
            if shape.tag == 'box':
                boxes.append(_box(shape, track, path))
            else:
                other[f'{shape.tag} shapes left out: only boxes are converted'] += 1
    size = root.find('meta//original_size')
    return _Export(
        path, _names(root, meta, path), [label.findtext('name', '') for label in meta.iterfind('labels/label')],
        boxes, _annotated_frames(meta, path),
        None if size is None else tuple(_number(size.findtext(key), key, size, path) for key in ('height', 'width')),
        other)


def _parse(path: Path) -> Element:
    """Return the root element; elements know their line. A DTD is refused: its entities could grow without end."""
    builder, parser = TreeBuilder(), expat.ParserCreate()

    def refuse(*_) -> None:
        raise InputError(f'{path} has a document type, which CVAT does not write and which can be an attack: '
                         'export it again, or remove the line <!DOCTYPE ...>')

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda tag, keys: builder.start(tag, {**keys, _LINE: str(parser.CurrentLineNumber)})
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        with path.open('rb') as file:
            parser.ParseFile(file)
    except (OSError, expat.ExpatError) as error:
        raise InputError(f'{path} cannot be read as XML ({error}): export it again') from error
    return builder.close()


def _box(shape: Element, track: Element, path: Path) -> Box:
    label = track.get('label', '').strip()
    if not label:
        raise InputError(f'{path} line {track.get(_LINE)} has a track without a label: export it again')
    left, top, right, bottom, angle = (_number(shape.get(key, default), key, shape, path, whole=False) for key, default
                                       in (('xtl', None), ('ytl', None), ('xbr', None), ('ybr', None),
                                           ('rotation', '0')))
    box = left, top, right - left, bottom - top
    if angle:
        box = _around(box, math.radians(angle))
    return Box(int(shape.get(_LINE)), _number(shape.get('frame'), 'frame', shape, path), label, box,
               f'{track.get("id")} of line {track.get(_LINE)}', shape.get('occluded') == '1')


def _around(box: tuple[float, float, float, float], angle: float) -> tuple[float, float, float, float]:
    """Return the upright box around a box rotated about its centre."""
    x, y, width, height = box
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    wide, high = width * cos + height * sin, width * sin + height * cos
    return x + (width - wide) / 2, y + (height - high) / 2, wide, high


def _names(root: Element, meta: Element, path: Path) -> list[str]:
    # Exports of jobs name neither source nor task: their file or folder does.
    source = root.findtext('meta//source') or meta.findtext('name')
    own = path.parent.resolve().name if path.stem == 'annotations' else path.stem
    return [name.strip() for name in (source, own) if name and name.strip()]


def _annotated_frames(meta: Element, path: Path) -> range | None:
    keys = 'start_frame', 'stop_frame'
    if any(meta.findtext(key) is None for key in keys):
        return None
    start, stop = (_number(meta.findtext(key), key, meta, path) for key in keys)
    step = re.fullmatch(r'\s*step\s*=\s*([1-9][0-9]*)\s*', meta.findtext('frame_filter') or '')
    return range(start, stop + 1, int(step[1]) if step else 1)


def _number(text: str | None, what: str, element: Element, path: Path, whole: bool = True) -> float:
    number = parse_number(text, what, f'{path} line {element.get(_LINE)}', whole)
    if not math.isfinite(number):
        raise InputError(f'{path} line {element.get(_LINE)}: {what} is {text!r} but must be finite: export it again')
    return number


def _places(exports: list[_Export], folder: Path) -> dict[Path, Path]:
    """Find the video or folder of images of each export."""
    places = {}
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
    """List possible paths of a video that CVAT names: the name itself, or with another suffix or none."""
    # The file may come from anyone: only the last part of a path counts.
    path = Path(name.replace('\\', '/').split('/')[-1])
    names = [path.name, path.stem, *(path.stem + suffix for suffix in SUFFIXES)]
    return [folder / name for name in names if name not in ('', '..')]


def _frames(export: _Export, place: Path) -> list[Frame]:
    if place.is_file():
        frames = video_frames(place, place.name)
    else:
        images = images_of(place)
        sizes = [image_size(images[0])] * len(images) if export.size else map(image_size, images)
        frames = [Frame(k, f'{place.name}/{path.name}', size)
                  for k, (path, size) in enumerate(zip(images, sizes, strict=True))]
    if export.size and export.size != frames[0].size:
        stated, found = (f'{width}x{height}' for height, width in (export.size, frames[0].size))
        raise InputError(f'{export.path} states frames of {stated} px but {place} has {found}: the boxes would be '
                         'misplaced, so use the video that was annotated')
    annotated = range(len(frames)) if export.frames is None else export.frames
    if not annotated or annotated[-1] >= len(frames):
        raise InputError(f'{export.path} is of the frames {annotated.start} to {annotated.stop - 1} but {place} has '
                         f'0 to {len(frames) - 1}: use the video that was annotated')
    return [frames[k] for k in annotated]
