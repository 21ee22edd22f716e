"""The records of a CocoVID file: keys, values, ids, and what refers to what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tsm_det.cocovid.check_report import Problem
from tsm_det.cocovid.coco_json import is_box, is_number, is_whole


class _Key(NamedTuple):
    name: str
    fits: Callable[[object], bool]
    needed: str
    is_optional: bool = False


@dataclass
class Records:
    """The records that are sound enough to look at more closely, by id."""

    videos: dict[int, dict] = field(default_factory=dict)
    images: dict[int, dict] = field(default_factory=dict)
    annotations: dict[int, dict] = field(default_factory=dict)
    categories: dict[int, dict] = field(default_factory=dict)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_id(value: object) -> bool:
    return is_whole(value, 0)


def _is_length(value: object) -> bool:
    return is_whole(value, 1)


_ID = _Key('id', _is_id, 'a whole number from 0')
_KEYS = {
    'videos': [_ID],
    'categories': [_ID, _Key('name', _is_text, 'text')],
    'images': [
        _ID, _Key('file_name', _is_text, 'text'),
        *(_Key(name, _is_length, 'a whole number from 1') for name in ('width', 'height')),
        *(_Key(name, _is_id, 'a whole number from 0', is_optional=True)
          for name in ('video_id', 'frame_id', 'frame_in_file'))],
    'annotations': [
        _ID, *(_Key(name, _is_id, 'a whole number from 0') for name in ('image_id', 'category_id')),
        _Key('bbox', is_box, 'four numbers: x, y, width, height'), _Key('area', is_number, 'a number'),
        _Key('iscrowd', lambda value: value in (0, 1), '0 or 1'),
        *(_Key(name, _is_id, 'a whole number from 0', is_optional=True) for name in ('video_id', 'instance_id'))]}
_ONE = {'videos': 'video', 'images': 'image', 'annotations': 'annotation', 'categories': 'category'}


def read_records(content: dict) -> tuple[Records, list[Problem]]:
    """The sound records of a file, and what is wrong with the others and with ids."""
    records, problems = Records(), []
    for what, keys in _KEYS.items():
        found = content.get(what)
        if not isinstance(found, list):
            state = f'is a {type(found).__name__}' if what in content else 'is missing'
            problems.append(Problem('list missing', 'list', what, f'{state} but a CocoVID file has four lists'))
            continue
        if not found and what in ('images', 'categories'):
            problems.append(Problem('list empty', 'list', what, 'is empty but there is nothing to learn without'))
        by_id = getattr(records, what)
        for place, record in enumerate(found):
            its_problems = list(_look_at(record, place, _ONE[what], keys))
            problems += its_problems
            if its_problems:
                continue
            if record['id'] in by_id:
                problems.append(Problem('id twice', _ONE[what], record['id'], f'{what}[{place}] has the id of another'))
            else:
                by_id[record['id']] = record
    return records, [*problems, *_names_twice(records), *_lost(records)]


def _look_at(record: object, place: int, what: str, keys: list[_Key]) -> Iterator[Problem]:
    if not isinstance(record, dict):
        yield Problem('not an object', what, f'#{place}', f'is {record!r} but an object with keys is needed')
        return
    number = record['id'] if _is_id(record.get('id')) else f'#{place}'
    for key in keys:
        value = record.get(key.name)
        if value is None and not key.is_optional:
            yield Problem(f'{key.name} missing', what, number, f'has no {key.name}, {key.needed} is needed')
        elif value is not None and not key.fits(value):
            yield Problem(f'wrong {key.name}', what, number, f'{key.name} is {value!r} but must be {key.needed}')


def _names_twice(records: Records) -> Iterator[Problem]:
    first = {}
    for number, category in records.categories.items():
        if (other := first.setdefault(category['name'], number)) != number:
            yield Problem('name twice', 'category', number, f'has the name {category["name"]} of category {other}')


def _lost(records: Records) -> Iterator[Problem]:
    """References that lead nowhere."""
    for number, image in records.images.items():
        if image.get('video_id') is None:
            continue
        if image['video_id'] not in records.videos:
            yield Problem('unknown video', 'image', number, f'video_id {image["video_id"]} is no video of the file')
        if image.get('frame_id') is None:
            yield Problem('frame_id missing', 'image', number, 'has a video_id but no frame_id')
    for number, annotation in records.annotations.items():
        image = records.images.get(annotation['image_id'])
        if image is None:
            yield Problem('unknown image', 'annotation', number,
                          f'image_id {annotation["image_id"]} is no (sound) image of the file')
        elif annotation.get('video_id') not in (None, image.get('video_id')):
            yield Problem('other video than its image', 'annotation', number, f'video_id is {annotation["video_id"]} '
                          f'but its image {annotation["image_id"]} is of video {image.get("video_id")}')
        if annotation['category_id'] not in records.categories:
            yield Problem('unknown category', 'annotation', number,
                          f'category_id {annotation["category_id"]} is no category of the file')
