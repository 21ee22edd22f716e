"""Convert the videos of UA-DETRAC to CocoVID."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport, number_classes
from tsm_det.cocovid.convert.frame_files import annotation_files, inner_name, parse_number, parse_whole
from tsm_det.cocovid.convert.labelled_videos import (
    LabelledVideo,
    image_frames,
    labels_of,
    numbered_images,
    region,
    write_videos,
)
from tsm_det.cocovid.convert.xml_file import LINE, parse_xml
from tsm_det.errors import InputError


def convert_ua_detrac(source: str | os.PathLike, images: str | os.PathLike, out: str | os.PathLike,
                      classes: list[str] | None = None, ignore: Sequence[str] = (),
                      progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of sequences with one XML file each and frames ``NAME/img00001.jpg``.

    Frame k becomes frame id k - 1. The class is the attribute ``vehicle_type``. Each ``ignored_region`` is one in every
    frame. Frames without ``<frame>`` are empty. A target overlapped by another becomes ``occluded``.

    Args:
        source: an XML file, or a folder with XML files at any depth.
        images: the folder that holds a folder of images per sequence.
        out: the JSON file to write; its file names are relative to ``images``.
        classes: the categories in order; None takes the vehicle types in use, sorted.
        ignore: labels whose boxes are regions in which nothing counts.
        progress: wraps the list of sequences.

    Raises InputError when a file is not UA-DETRAC's, its images are missing, or a type is not in ``classes``.
    """
    videos = [_read(path, Path(images)) for path in annotation_files(Path(source), '.xml')]
    builder = CocoVIDBuilder(number_classes(labels_of(videos), classes, ignore), first_frame=1, ignore=ignore)
    return write_videos(videos, builder, out, progress)


def _read(path: Path, images: Path) -> LabelledVideo:
    root = parse_xml(path)
    if root.tag != 'sequence':
        raise InputError(f'{path} begins with <{root.tag}> but <sequence> is required: name files of UA-DETRAC')
    name = inner_name(root.get('name') or path.stem, str(path))
    numbers = numbered_images(images / name, 1)
    boxes = [region(int(box.attrib[LINE]), frame, _xywh(box, path)) for frame in numbers
             for box in root.iterfind('ignored_region/box')]
    boxes += [box for frame in root.iterfind('frame') for box in _targets(frame, path)]
    return LabelledVideo(name, path, boxes, partial(image_frames, numbers, f'{name}/'))


def _targets(frame: Element, path: Path) -> Iterator[Box]:
    number = parse_whole(frame.get('num'), 'num', _place(frame, path))
    for target in frame.iterfind('target_list/target'):
        attribute, box = target.find('attribute'), target.find('box')
        label = None if attribute is None else attribute.get('vehicle_type')
        if not label or box is None:
            raise InputError(f'{_place(target, path)} has a target without vehicle_type or box: fix it, or fetch the '
                             'file again')
        yield Box(int(target.attrib[LINE]), number - 1, label, _xywh(box, path), target.get('id'),
                  target.find('occlusion') is not None)


def _xywh(box: Element, path: Path) -> tuple[float, float, float, float]:
    left, top, width, height = (parse_number(box.get(key), key, _place(box, path))
                                for key in ('left', 'top', 'width', 'height'))
    return left, top, width, height


def _place(element: Element, path: Path) -> str:
    return f'{path} line {element.get(LINE)}'
