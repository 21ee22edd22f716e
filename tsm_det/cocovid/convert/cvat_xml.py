"""A file "CVAT for video 1.1", read without trust in who wrote it."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from tsm_det.cocovid.builder import Box
from tsm_det.errors import InputError

_LINE = ' line'  # no attribute of a file can be called so


class Annotated(NamedTuple):
    """What a file says of one video."""

    path: Path
    names: list[str]  # the video may have, the likeliest first
    labels: list[str]
    boxes: list[Box]
    frames: range | None  # that were annotated; None is all of the video
    size: tuple[int, int] | None  # (H, W)
    other: Counter[str]  # what is no box: how many of each kind


def read_cvat(path: Path) -> Annotated:
    """Read a file that CVAT exported from a task or a job as "CVAT for video 1.1".

    Raises:
        InputError: it is something else, or damaged.
    """
    root = _parse(path)
    if root.tag != 'annotations':
        raise InputError(f'{path} begins with <{root.tag}> but <annotations> is needed: export the task as '
                         '"CVAT for video 1.1"')
    if root.find('image') is not None:
        raise InputError(f'{path} is "CVAT for images", which has no tracks: export the task as "CVAT for video 1.1"')
    if root.find('meta/project') is not None:
        raise InputError(f'{path} is the export of a project, whose tasks it numbers through: export each task')
    metas = (root.find(f'meta/{kind}') for kind in ('task', 'job'))
    meta = next((meta for meta in metas if meta is not None), Element('task'))
    boxes, other = [], Counter()
    for track in root.iterfind('track'):
        for shape in track:
            if shape.tag == 'box':
                if (box := _box(shape, track, path)) is not None:
                    boxes.append(box)
            elif shape.get('outside') != '1':
                other[f'{shape.tag} shapes, which are no boxes, left out'] += 1
    size = root.find('meta//original_size')
    return Annotated(
        path, _names(root, meta, path), [label.findtext('name', '') for label in meta.iterfind('labels/label')],
        boxes, _frames(meta, path),
        None if size is None else tuple(_number(size.findtext(key), key, size, path) for key in ('height', 'width')),
        other)


def _parse(path: Path) -> Element:
    """The root element of an XML file; elements know their line. A DTD is refused: entities can grow without end."""
    builder, parser = TreeBuilder(), expat.ParserCreate()

    def refuse(*_) -> None:
        raise InputError(f'{path} has a document type, which CVAT does not write and which could do harm: '
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


def _box(shape: Element, track: Element, path: Path) -> Box | None:
    """A box of a track; None where the object is not to be seen."""
    if shape.get('outside') == '1':
        return None
    label = track.get('label', '').strip()
    if not label:
        raise InputError(f'{path} line {track.get(_LINE)} has a track without a label: export it again')
    left, top, right, bottom = (_number(shape.get(key), key, shape, path, float)
                                for key in ('xtl', 'ytl', 'xbr', 'ybr'))
    box = left, top, right - left, bottom - top
    if angle := _number(shape.get('rotation', '0'), 'rotation', shape, path, float):
        box = _around(box, math.radians(angle))
    return Box(int(shape.get(_LINE)), _number(shape.get('frame'), 'frame', shape, path), label, box,
               f'{track.get("id")} of line {track.get(_LINE)}', shape.get('occluded') == '1')


def _around(box: tuple[float, float, float, float], angle: float) -> tuple[float, float, float, float]:
    """The upright box around one that is turned about its centre."""
    x, y, width, height = box
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    wide, high = width * cos + height * sin, width * sin + height * cos
    return x + (width - wide) / 2, y + (height - high) / 2, wide, high


def _names(root: Element, meta: Element, path: Path) -> list[str]:
    """The source, else the task; exports of jobs have neither: then the file, or its folder."""
    source = root.findtext('meta//source') or meta.findtext('name')
    own = path.parent.resolve().name if path.stem == 'annotations' else path.stem
    return [name.strip() for name in (source, own) if name and name.strip()]


def _frames(meta: Element, path: Path) -> range | None:
    keys = 'start_frame', 'stop_frame'
    if any(meta.findtext(key) is None for key in keys):
        return None
    start, stop = (_number(meta.findtext(key), key, meta, path) for key in keys)
    step = re.fullmatch(r'\s*step\s*=\s*([1-9][0-9]*)\s*', meta.findtext('frame_filter') or '')
    return range(start, stop + 1, int(step[1]) if step else 1)


def _number(text: str | None, what: str, element: Element, path: Path, kind: type = int) -> float:
    try:
        if not math.isfinite(number := kind(text)):
            raise ValueError('infinite, or no number')
        return number
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f'{path} line {element.get(_LINE)}: {what} is {text!r} but must be a '
                         f'{"whole " * (kind is int)}number: export the file again') from error
