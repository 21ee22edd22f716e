"""A COCO file, read and found to have what a converter needs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from tsm_det.errors import InputError

_MOST = 2 ** 63 - 1  # that numpy's whole numbers hold
_NEEDED = {'images': {'id': int, 'file_name': str}, 'annotations': {'id': int, 'image_id': int, 'category_id': int},
           'categories': {'id': int, 'name': str}}
_KINDS = {int: 'a whole number', str: 'text'}


def is_whole(value: object, least: int = -_MOST) -> bool:
    """Whether a value out of JSON is a whole number from ``least``, and one that numpy can hold."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MOST


def is_box(value: object) -> bool:
    """Whether a value out of JSON is four numbers, finite or not."""
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


def is_number(value: object) -> bool:
    return isinstance(value, float) or is_whole(value)


def read_json(path: Path) -> dict:
    """The content of a JSON file.

    Raises:
        InputError: it cannot be read, or does not hold names and values.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f'{path} cannot be read as JSON ({error}): fetch or make it again') from error
    if not isinstance(content, dict):
        raise InputError(f'{path} holds a {type(content).__name__} but {{"images": [...], ...}} is needed: '
                         'name the file with the annotations')
    return content


def read_coco(path: Path) -> dict:
    """The content of a COCO file: its three lists, with ids that fit together, and boxes of four numbers.

    Raises:
        InputError: it is something else.
    """
    content = read_json(path)
    for what, keys in _NEEDED.items():
        records = content.get(what)
        if not isinstance(records, list) or not (records or what == 'annotations'):
            raise InputError(f'{path} has no {what} but COCO needs them: name the file with the annotations')
        for place, record in enumerate(records):
            _check_record(record, keys, f'{what}[{place}] of {path}')
        twice = [number for number, count in Counter(record['id'] for record in records).items() if count > 1]
        if twice:
            raise InputError(f'{path} has the id {twice[0]} twice in {what}: number them anew')
    names = Counter(category['name'] for category in content['categories'])
    if max(names.values()) > 1:
        raise InputError(f'{path} has the category {names.most_common()[0][0]} twice: give each a name of its own')
    _check_references(content, path)
    return content


def _check_record(record: object, keys: dict[str, type], place: str) -> None:
    if not isinstance(record, dict):
        raise InputError(f'{place} is {record!r} but must be an object with {", ".join(keys)}: make the file anew')
    for key, kind in keys.items():
        value = record.get(key)
        if not (is_whole(value) if kind is int else isinstance(value, kind)):
            raise InputError(f'{place} has {key} {value!r} but {_KINDS[kind]} is needed: mend it')
    if record.get('bbox') and not is_box(record['bbox']):
        raise InputError(f'{place} has bbox {record["bbox"]!r} but four numbers (x, y, width, height) are needed: '
                         'mend it')


def _check_references(content: dict, path: Path) -> None:
    known = {key: {record['id'] for record in content[what]}
             for key, what in (('image_id', 'images'), ('category_id', 'categories'))}
    for annotation in content['annotations']:
        for key, ids in known.items():
            if annotation[key] not in ids:
                raise InputError(f'annotation {annotation["id"]} of {path} has the {key} {annotation[key]}, which the '
                                 'file does not describe: add it or remove the annotation')
