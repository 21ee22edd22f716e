"""Read exports of CVAT: "CVAT for video 1.1", which has tracks, and "CVAT for images 1.1", which has none."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

from tsm_det.cocovid.convert.frame_files import parse_number, parse_whole
from tsm_det.cocovid.convert.frame_numbers import cvat_number
from tsm_det.cocovid.convert.xml_file import LINE, parse_xml
from tsm_det.errors import InputError

_EXPORT_AGAIN = 'export the task as "CVAT for video 1.1"'
_CORNERS = ('xtl', 'ytl', 'xbr', 'ybr')


class CvatShape(NamedTuple):
    """A box of a track in a frame: left, top, right, bottom in px before it turns about its centre by ``angle``."""

    line: int
    frame: int
    corners: tuple[float, ...]
    angle: float  # degrees
    is_outside: bool
    is_occluded: bool

    def upright(self) -> tuple[float, float, float, float]:
        """Return the upright box x, y, width, height around it."""
        left, top, right, bottom = self.corners
        width, height = right - left, bottom - top
        if not self.angle:
            return left, top, width, height
        cos, sin = abs(math.cos(math.radians(self.angle))), abs(math.sin(math.radians(self.angle)))
        wide, high = width * cos + height * sin, width * sin + height * cos
        return left + (width - wide) / 2, top + (height - high) / 2, wide, high


class Track(NamedTuple):
    """The boxes of an object by frame; without a name, a shape of one frame that CVAT has in no track."""

    name: str | None
    label: str
    shapes: list[CvatShape]


class Export(NamedTuple):
    """The annotations of one video."""

    path: Path
    names: list[str]  # possible names of the video, the likeliest first
    labels: list[str]
    tracks: list[Track]
    frames: Sequence[int] | None  # annotated frames, numbered as in the video; None is all of the video
    pictures: dict[int, str]  # names of the frames, where the export lists them
    size: tuple[int, int] | None  # (H, W)
    other: Counter[str]  # number of shapes of other kinds


def read_export(path: Path) -> Export:
    """Read a file; raise InputError when it is not an export of one task or job."""
    root = parse_xml(path)
    if root.tag != 'annotations':
        raise InputError(f'{path} begins with <{root.tag}> but <annotations> is required: {_EXPORT_AGAIN}')
    if root.find('meta/project') is not None:
        raise InputError(f'{path} is the export of a project, which numbers the frames of all tasks together: export '
                         'each task')
    metas = (root.find(f'meta/{kind}') for kind in ('task', 'job'))
    meta = next((meta for meta in metas if meta is not None), Element('task'))
    frames = _annotated_frames(meta, path)
    other: Counter[str] = Counter()
    tracks = [_track(element, frames, other, path) for element in root.iterfind('track')]
    pictures: dict[int, str] = {}
    for image in root.iterfind('image'):
        frame = _frame_of(image, path)
        if pictures.setdefault(frame, name := image.get('name', '')) != name:
            raise InputError(f'{path} line {image.get(LINE)} is a second image of frame {frame}: export it again')
        tracks += [Track(None, _label(shape, path), [_shape(shape, path, frame)])
                   for shape in _boxes(image, other)]
    return Export(
        path, _names(root, meta, path), [label.findtext('name', '') for label in meta.iterfind('labels/label')],
        tracks, sorted(pictures) or frames, pictures, _size(root, path), other)


def _size(root: Element, path: Path) -> tuple[int, int] | None:
    if (size := root.find('meta//original_size')) is None:
        return None
    height, width = (_whole(size.findtext(key), key, size, path) for key in ('height', 'width'))
    return height, width


def _track(element: Element, frames: range | None, other: Counter[str], path: Path) -> Track:
    label = _label(element, path)
    shapes = sorted((_shape(shape, path) for shape in _boxes(element, other)), key=lambda shape: shape.frame)
    is_shape = _is_one_frame(shapes, frames)
    return Track(None if is_shape else f'{element.get("id")} of line {element.get(LINE)}', label, shapes)


def _is_one_frame(shapes: list[CvatShape], frames: range | None) -> bool:
    """Whether this is how CVAT writes a shape without a track: seen in one frame, outside in the next, if any."""
    outside = [shape.is_outside for shape in shapes]
    if outside == [False]:
        return frames is not None and shapes[0].frame == frames[-1]
    return outside == [False, True] and shapes[1].frame - shapes[0].frame == (frames.step if frames else 1)


def _boxes(parent: Element, other: Counter[str]) -> Iterator[Element]:
    for shape in parent:
        if shape.tag == 'box':
            yield shape
        elif shape.get('outside') != '1':
            other[f'{shape.tag} shapes left out: only boxes are converted'] += 1


def _label(element: Element, path: Path) -> str:
    if not (label := element.get('label', '').strip()):
        raise InputError(f'{path} line {element.get(LINE)} has a {element.tag} without a label: export it again')
    return label


def _shape(shape: Element, path: Path, frame: int | None = None) -> CvatShape:
    frame = _whole(shape.get('frame'), 'frame', shape, path) if frame is None else frame
    *corners, angle = (_number(shape.get(key, default), key, shape, path)
                       for key, default in (*((key, None) for key in _CORNERS), ('rotation', '0')))
    return CvatShape(int(shape.attrib[LINE]), frame, tuple(corners), angle, shape.get('outside') == '1',
                 shape.get('occluded') == '1')


def _frame_of(image: Element, path: Path) -> int:
    number = cvat_number(image.get('name', ''))
    number = _whole(image.get('id'), 'id', image, path) if number is None else number
    if number < 0:
        raise InputError(f'{path} line {image.get(LINE)} has the image {number} but they count from 0: export it '
                         'again')
    return number


def _names(root: Element, meta: Element, path: Path) -> list[str]:
    # Exports of jobs name neither source nor task: their file or folder does.
    source = root.findtext('meta//source') or meta.findtext('name')
    own = path.parent.resolve().name if path.stem == 'annotations' else path.stem
    return [name.strip() for name in (source, own) if name and name.strip()]


def _annotated_frames(meta: Element, path: Path) -> range | None:
    keys = 'start_frame', 'stop_frame'
    if any(meta.findtext(key) is None for key in keys):
        return None
    start, stop = (_whole(meta.findtext(key), key, meta, path) for key in keys)
    step = re.fullmatch(r'\s*step\s*=\s*([1-9][0-9]*)\s*', meta.findtext('frame_filter') or '')
    frames = range(start, stop + 1, int(step[1]) if step else 1)
    if not frames or start < 0 or stop >= 2 ** 31:
        raise InputError(f'{path} is of the frames {start} to {stop} but frames count upwards from 0: export it again')
    return frames


def _whole(text: str | None, what: str, element: Element, path: Path) -> int:
    return parse_whole(text, what, f'{path} line {element.get(LINE)}')


def _number(text: str | None, what: str, element: Element, path: Path) -> float:
    number = parse_number(text, what, f'{path} line {element.get(LINE)}')
    if not math.isfinite(number):
        raise InputError(f'{path} line {element.get(LINE)}: {what} is {text!r} but must be finite: export it again')
    return number
