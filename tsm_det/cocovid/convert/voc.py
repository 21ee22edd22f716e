"""Convert frames with boxes in XML files of Pascal VOC to CocoVID."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport, number_classes
from tsm_det.cocovid.convert.frame_files import (
    annotation_files,
    check_size,
    inner_name,
    parse_number,
    parse_track,
    parse_whole,
)
from tsm_det.cocovid.convert.image_videos import group_images
from tsm_det.cocovid.convert.labelled_videos import LabelledVideo, labels_of, write_videos
from tsm_det.cocovid.convert.listed_images import ListedImages
from tsm_det.cocovid.convert.xml_file import LINE, parse_xml
from tsm_det.errors import InputError
from tsm_det.video.sources import IMAGE_SUFFIXES

_READ_AS = ('corners are read as coordinates in px (--origin 0)', 'corners are read as pixels from 1 (--origin 1)')
_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


def convert_voc(source: str | os.PathLike, images: str | os.PathLike, out: str | os.PathLike,
                classes: list[str] | None = None, origin: int | None = None, max_gap: int = 5,
                ignore: Sequence[str] = (), labelled_frames_only: bool = False,
                progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of a folder of XML files, one per image.

    The image is the ``filename`` of the XML file, or has the name of the XML file; it lies in ``images``, in the same
    subfolder as the XML file in ``source`` if that has it. The number at the end of its name is its frame id; images
    are grouped into videos as by ``coco-frames``. Corners are pixels that belong to the box, counted from 1: xmin 1 and
    xmax 64 are a box of x 0 and width 64. ``difficult`` objects are ignored (``iscrowd``). Tracks come from
    ``trackid`` or the attribute ``track_id`` of CVAT.

    Args:
        source: the folder of the XML files, e.g. ``Annotations``.
        images: the folder of the images, e.g. ``JPEGImages``.
        out: the JSON file to write; its file names are relative to ``images``.
        classes: the categories in order; None takes the names in use, sorted.
        origin: 1 numbers pixels as above; with 0, corners are coordinates in px and the width is xmax - xmin, as CVAT
            writes them. None is 0 if a corner is 0 or a fraction, else 1; the report says which.
        max_gap: largest gap in a linked track, see :func:`~tsm_det.cocovid.linking.link_tracks`.
        ignore: labels whose boxes are regions in which nothing counts.
        labelled_frames_only: leave out frames without a box, because nobody labelled them.
        progress: wraps the list of videos.

    Raises InputError when a file is not VOC's, its image is missing, or a name is not in ``classes``.
    """
    source, listed = Path(source), ListedImages(Path(images))
    files = annotation_files(source, '.xml')
    roots = [_root(path) for path in files]
    names = [_image(root, path, source, listed) for root, path in zip(roots, files, strict=True)]
    origin = _origin(roots) if origin is None else origin
    videos, notes = [], [_READ_AS[origin]]
    for name, places in group_images(names, source, notes):
        boxes = [box for frame_id, place in places.items()
                 for box in _boxes(roots[place], files[place], frame_id, origin)]
        frames = partial(listed.frames, {frame_id: names[place] for frame_id, place in places.items()})
        videos.append(LabelledVideo(name, source, boxes, frames))
    builder = CocoVIDBuilder(number_classes(labels_of(videos), classes, ignore), max_gap, ignore=ignore,
                             labelled_frames_only=labelled_frames_only)
    builder.report.left_out.update(listed.left_out())
    builder.report.notes.extend(notes)
    return write_videos(videos, builder, out, progress)


def _root(path: Path) -> Element:
    root = parse_xml(path)
    if root.tag != 'annotation':
        raise InputError(f'{path} begins with <{root.tag}> but <annotation> is required: name files of Pascal VOC')
    return root


def _image(root: Element, path: Path, source: Path, listed: ListedImages) -> str:
    """Find the image of an XML file."""
    stated = root.findtext('filename', '').strip()
    names = [inner_name(stated, str(path))] * bool(stated) + [path.stem + suffix for suffix in IMAGE_SUFFIXES]
    folders = dict.fromkeys((path.parent.relative_to(source).as_posix() if source.is_dir() else '.', '.'))
    name = listed.find([f'{folder}/{name}' for name in names for folder in folders], str(path))
    height, width = (parse_whole(root.findtext(f'size/{key}', '0'), key, str(path)) for key in ('height', 'width'))
    if height and width:
        check_size(listed.folder / name, (height, width), str(path))
    return name


def _origin(roots: list[Element]) -> int:
    """Return 0 where corners of 0 or fractions prove that they are coordinates, else VOC's 1."""
    corners = (node.text or '' for root in roots for key in _CORNERS for node in root.iterfind(f'object/bndbox/{key}'))
    return int(all(re.fullmatch(r'\s*0*[1-9][0-9]*(\.0*)?\s*', corner) for corner in corners))


def _boxes(root: Element, path: Path, frame: int, origin: int) -> Iterator[Box]:
    for node in root.iterfind('object'):
        place = f'{path} line {node.get(LINE)}'
        label = node.findtext('name', '').strip()
        if not label:
            raise InputError(f'{place} has an object without a name: fill it in, or remove the object')
        corners = [parse_number(node.findtext(f'bndbox/{key}'), key, place) for key in _CORNERS]
        left, top = corners[0] - origin, corners[1] - origin
        flags = {key: node.findtext(key, '').strip() == '1' for key in ('occluded', 'difficult')}
        yield Box(int(node.attrib[LINE]), frame, label, (left, top, corners[2] - left, corners[3] - top), _track(node),
                  flags['occluded'], flags['difficult'])


def _track(node: Element) -> str | None:
    attributes = {each.findtext('name'): each.findtext('value') for each in node.iterfind('attributes/attribute')}
    track = node.findtext('trackid') or node.findtext('track_id') or attributes.get('track_id') or ''
    return parse_track(track)
