"""Read CocoVID and COCO files: lists, keys, values, ids and references are checked here and nowhere else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

from tsm_det.config import class_names
from tsm_det.errors import InputError

Schema = dict[str, str]  # keys of the records of each list; '?' marks what may be missing

_CATEGORY = 'id name'
COCO: Schema = {'categories': _CATEGORY, 'images': 'id file_name', 'annotations': 'id image_id category_id bbox?'}
SCORING: Schema = {'videos?': 'id', 'categories': _CATEGORY, 'images': 'id video_id? frame_id?',
                   'annotations': 'id image_id category_id bbox'}
TRAINING: Schema = {'videos?': 'id', 'categories': _CATEGORY,
                    'images': 'id file_name width height video_id? frame_id? frame_in_file?',
                    'annotations': 'image_id category_id bbox area'}
COCO_VID: Schema = {'videos': 'id', 'categories': _CATEGORY, 'images': TRAINING['images'],
                    'annotations': 'id image_id category_id bbox area iscrowd video_id? instance_id?'}


class Problem(NamedTuple):
    """Something to fix in a file."""

    kind: str
    what: str  # video, image, annotation, category, list or file
    id: int | str
    text: str

    def __str__(self) -> str:
        return f'{self.what} {self.id}: {self.text}'


@dataclass
class Records:
    """Records with valid keys and values, by id (by place in their list where the schema has no id)."""

    videos: dict[int, dict] = field(default_factory=dict)
    images: dict[int, dict] = field(default_factory=dict)
    annotations: dict[int, dict] = field(default_factory=dict)
    categories: dict[int, dict] = field(default_factory=dict)


def read_coco_vid(path: str | os.PathLike, schema: Schema = SCORING,
                  hint: str = 'make it as data/README.md says') -> dict:
    """Return the content of a file in which everything that the schema names is valid; ``videos`` may be empty.

    Raises:
        InputError: the file is missing, is not JSON, or has a problem; ``hint`` says where a missing file comes from.
    """
    content = read_json(path, hint)
    problems = check_records(content, schema)[1]
    if problems:
        raise InputError(f'{path}, problem 1 of {len(problems)}: {problems[0]}. Fix the file: data/README.md describes '
                         'the format, and `tools/convert_dataset.py check` lists all problems')
    return {'videos': [], **content}


def read_json(path: str | os.PathLike, hint: str = 'name the file with the annotations') -> dict:
    """Return the object in a JSON file.

    Raises InputError when the file cannot be read, or holds something else.
    """
    content = load_json(path, hint)
    if not isinstance(content, dict):
        raise InputError(f'{path} holds a {type(content).__name__} but {{"images": [...], ...}} is required: {hint}')
    return content


def load_json(path: str | os.PathLike, hint: str = 'name the file with the annotations') -> object:
    """Return the content of a JSON file; raise InputError when it cannot be read."""
    try:
        return json.loads(Path(path).read_bytes())
    except FileNotFoundError as error:
        raise InputError(f'the annotation file {path} is missing: {hint}') from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f'{path} cannot be read as JSON ({error}): {hint}') from error


def category_ids(categories: list[dict], classes: Iterable[str] | None, path: str | os.PathLike) -> dict[str, int]:
    """Return the category id of each class in the order of labels; without ``classes``, of each category in the file.

    Raises InputError when the file lacks a class, or ``classes`` is not a list of names.
    """
    ids = {category['name']: category['id'] for category in categories}
    classes = list(ids if (named := class_names(classes)) is None else named)
    if unknown := [name for name in classes if name not in ids]:
        raise InputError(f'{path} has no category {", ".join(unknown)}, only {", ".join(ids)}: '
                         'set metainfo.classes to names of the file')
    return {name: ids[name] for name in classes}


def check_records(content: dict, schema: Schema) -> tuple[Records, list[Problem]]:
    """Return the valid records of a file, and all problems with keys, values, ids and references."""
    records, problems = Records(), []
    for entry, keys in schema.items():
        what = entry.removesuffix('?')
        if not isinstance(given := content.get(what, [] if entry != what else None), list):
            state = 'is missing' if content.get(what) is None else f'is a {type(given).__name__}'
            problems.append(Problem('list missing', 'list', what, f'{state} but a list is required'))
            continue
        if not given and what in ('images', 'categories'):
            problems.append(Problem('list empty', 'list', what, 'is empty but at least one record is required'))
        problems += _check_list(given, what, keys.split(), getattr(records, what))
    problems += _repeated_names(records.categories)
    if 'video_id?' in schema['images']:
        problems += _check_images(records, 'videos' in schema)
    return records, [*problems, *_check_annotations(records, 'video_id?' in schema['annotations'])]


def is_whole(value: object, least: int = 0) -> bool:
    """Whether a JSON value is a whole number from ``least`` that fits into 64 bits."""
    return type(value) is int and least <= value < 2 ** 63


def is_number(value: object) -> bool:
    """Whether a JSON value is a number, finite or not, that numpy can hold."""
    return type(value) is float or is_whole(value, -2 ** 63)


def _is_box(value: object) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


def stays_inside(file_name: str) -> bool:
    """Whether a path, of Unix or Windows, names a file below the folder it is relative to."""
    path = PureWindowsPath(file_name)  # takes both separators
    return not (path.anchor or '..' in path.parts or '\0' in file_name)


class _Rule(NamedTuple):
    fits: Callable[[Any], bool]
    needed: str


_ID = _Rule(is_whole, 'a whole number from 0')
_LENGTH = _Rule(lambda value: is_whole(value, 1), 'a whole number from 1')
_TEXT = _Rule(lambda value: isinstance(value, str) and bool(value.strip()), 'text')
_INSIDE = _Rule(lambda value: _TEXT.fits(value) and stays_inside(value),
                'a path relative to the folder of the images, and inside it')
_BOX = 'four numbers: x, y, width, height'
_RULES = {
    'name': _TEXT, 'file_name': _INSIDE, 'width': _LENGTH, 'height': _LENGTH, 'area': _Rule(is_number, 'a number'),
    'bbox': _Rule(_is_box, _BOX), 'bbox?': _Rule(lambda value: value == [] or _is_box(value), _BOX),
    'iscrowd': _Rule(lambda value: value in (0, 1), '0 or 1')}


def _check_list(given: list, what: str, keys: list[str], records: dict[int, dict]) -> Iterator[Problem]:
    """Put the valid records of a list into ``records``."""
    one = {'categories': 'category'}.get(what, what[:-1])
    rules = [(key.removesuffix('?'), key.endswith('?'), _RULES.get(key) or _RULES.get(key.removesuffix('?'), _ID))
             for key in keys]
    for place, record in enumerate(given):
        if not isinstance(record, dict):
            yield Problem('not an object', one, f'#{place}', f'is {record!r} but an object with keys is required')
            continue
        wrong = [(key, rule) for key, is_optional, rule in rules
                 if not (rule.fits(value := record.get(key)) or (is_optional and value is None))]
        number = record['id'] if is_whole(record.get('id')) else f'#{place}'
        for key, rule in wrong:
            if record.get(key) is None:
                yield Problem(f'{key} missing', one, number, f'has no {key} ({rule.needed})')
            else:
                yield Problem(f'wrong {key}', one, number, f'{key} is {record[key]!r} but must be {rule.needed}')
        if isinstance(record.get('file_name'), str):
            record['file_name'] = record['file_name'].replace('\\', '/')
        if not wrong and records.setdefault(record['id'] if 'id' in keys else place, record) is not record:
            yield Problem('id twice', one, number, f'{what}[{place}] has the id of another')


def _repeated_names(categories: dict[int, dict]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for number, category in categories.items():
        if (other := first.setdefault(category['name'], number)) != number:
            yield Problem('name twice', 'category', number, f'has the name {category["name"]} of category {other}')


def _check_images(records: Records, has_videos: bool) -> Iterator[Problem]:
    first: dict[tuple[int, int], int] = {}
    for number, image in records.images.items():
        if (video := image.get('video_id')) is None:
            continue
        if has_videos and video not in records.videos:
            yield Problem('unknown video', 'image', number, f'video_id {video} is not in the file')
        if (frame := image.get('frame_id')) is None:
            yield Problem('frame_id missing', 'image', number, 'has a video_id but no frame_id')
        elif (other := first.setdefault((video, frame), number)) != number:
            yield Problem('frame id twice', 'image', number, f'frame_id {frame} of video {video} is that of image '
                          f'{other}')


def _check_annotations(records: Records, has_video_id: bool) -> Iterator[Problem]:
    for number, annotation in records.annotations.items():
        image = records.images.get(annotation['image_id'])
        if image is None:
            yield Problem('unknown image', 'annotation', number,
                          f'image_id {annotation["image_id"]} is not a valid image of the file')
        elif has_video_id and annotation.get('video_id') not in (None, image.get('video_id')):
            yield Problem('other video than its image', 'annotation', number, f'video_id is {annotation["video_id"]} '
                          f'but its image {annotation["image_id"]} is of video {image.get("video_id")}')
        if annotation['category_id'] not in records.categories:
            yield Problem('unknown category', 'annotation', number,
                          f'category_id {annotation["category_id"]} is not in the file')
