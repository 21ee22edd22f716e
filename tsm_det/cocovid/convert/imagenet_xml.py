"""Read ImageNet's annotation of one image, of VID or DET."""

from __future__ import annotations

import math
import os
from typing import NamedTuple
from xml.etree import ElementTree

# The 30 classes of VID in their official order (Russakovsky et al., "ImageNet Large Scale Visual Recognition
# Challenge", IJCV 2015).
SYNSETS = {
    'n02691156': 'airplane', 'n02419796': 'antelope', 'n02131653': 'bear', 'n02834778': 'bicycle', 'n01503061': 'bird',
    'n02924116': 'bus', 'n02958343': 'car', 'n02402425': 'cattle', 'n02084071': 'dog', 'n02121808': 'domestic_cat',
    'n02503517': 'elephant', 'n02118333': 'fox', 'n02510455': 'giant_panda', 'n02342885': 'hamster',
    'n02374451': 'horse', 'n02129165': 'lion', 'n01674464': 'lizard', 'n02484322': 'monkey', 'n03790512': 'motorcycle',
    'n02324045': 'rabbit', 'n02509815': 'red_panda', 'n02411705': 'sheep', 'n01726692': 'snake',
    'n02355227': 'squirrel', 'n02129604': 'tiger', 'n04468005': 'train', 'n01662784': 'turtle',
    'n04530566': 'watercraft', 'n02062744': 'whale', 'n02391049': 'zebra'}
CLASSES = tuple(SYNSETS.values())
CATEGORIES = {synset: number for number, synset in enumerate(SYNSETS, start=1)}


class XmlProblem(NamedTuple):
    """An object or frame that was left out or changed."""

    kind: str
    path: str
    detail: str = ''


class ImageObject(NamedTuple):
    """A box of one of the 30 classes, xywh in px inside the image; ``track`` is None in DET."""

    category_id: int
    box: tuple[float, float, float, float]
    track: str | None
    occluded: bool
    generated: bool


class Annotation(NamedTuple):
    """The content of an XML file, and the objects left out or changed."""

    width: int
    height: int
    objects: list[ImageObject]
    problems: list[XmlProblem]


def read_annotation(path: str | os.PathLike, name: str) -> Annotation | XmlProblem:
    """Read an XML file; problems are returned, not raised.

    Width and height of a box are differences of its corners, as usual in the field.

    Args:
        path: the XML file.
        name: name of the file in problems.

    Returns:
        The annotation, or the problem that prevents it.
    """
    try:
        root = ElementTree.parse(path).getroot()
        width, height = (int(float(root.findtext(f'size/{side}', ''))) for side in ('width', 'height'))
        if min(width, height) <= 0:
            return XmlProblem('corrupt XML', name, f'the image is {width}x{height}')
        found = [_object(node) for node in root.findall('object')]
    except FileNotFoundError:
        return XmlProblem('missing XML', name)
    except (ElementTree.ParseError, OSError, ValueError, LookupError, OverflowError) as error:
        return XmlProblem('corrupt XML', name, str(error))
    annotation = Annotation(width, height, [], [])
    for synset, item in found:
        _add(annotation, synset, item, name)
    return annotation


def _object(node: ElementTree.Element) -> tuple[str, ImageObject]:
    x1, y1, x2, y2 = corners = [float(node.findtext(f'bndbox/{side}', '')) for side in ('xmin', 'ymin', 'xmax', 'ymax')]
    if not all(map(math.isfinite, corners)):
        raise ValueError(f'the box {corners} is not finite')
    flags = [node.findtext(flag, '0').strip() == '1' for flag in ('occluded', 'generated')]
    synset, track = (node.findtext(field, '').strip() for field in ('name', 'trackid'))
    if not synset:
        raise ValueError('an object has no name')
    return synset, ImageObject(CATEGORIES.get(synset, 0), (x1, y1, x2, y2), track or None, *flags)


def _add(annotation: Annotation, synset: str, item: ImageObject, name: str) -> None:
    """Add an object whose ``box`` still holds its corners, or its problem."""
    x1, y1, x2, y2 = item.box
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, annotation.width), min(y2, annotation.height)
    what = f'{synset} at {x1:g} {y1:g} {x2:g} {y2:g} in {annotation.width}x{annotation.height}'
    if not item.category_id:
        annotation.problems.append(XmlProblem('unknown synset', name, synset))
    elif x2 <= x1 or y2 <= y1:
        annotation.problems.append(XmlProblem('box of no area', name, what))
    elif right <= left or bottom <= top:
        annotation.problems.append(XmlProblem('box outside the image', name, what))
    else:
        if (left, top, right, bottom) != item.box:
            annotation.problems.append(XmlProblem('box clipped to the image', name, what))
        annotation.objects.append(item._replace(box=(left, top, right - left, bottom - top)))
