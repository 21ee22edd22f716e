"""Read tables of boxes with the separators and column names of any tool."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import NamedTuple

from tsm_det.cocovid.convert.frame_files import parse_number, parse_whole
from tsm_det.cocovid.convert.name_numbers import find_times, split_numbers
from tsm_det.errors import InputError
from tsm_det.video.source_names import IMAGE_SUFFIXES, VIDEO_SUFFIXES

_SEPARATORS = ',;\t|'
# Names in lower case, letters and digits alone. The name on the left wins over the others, these over names behind /.
_NAMES = {
    'frame': 'frameid framenumber frameno framenum framenr frameindex frameidx',
    'image': 'imageid imagename imagefile filename file',
    'label': 'class classname category categoryname labelname name species',
    'x': 'left xmin x1 xtl bbleft bboxleft bboxx bboxx1 bboxxmin boxleft',
    'y': 'top ymin y1 ytl bbtop bboxtop bboxy bboxy1 bboxymin boxtop',
    'right': 'xmax x2 xbr bbright bboxright bboxx2 bboxxmax boxright',
    'bottom': 'ymax y2 ybr bbbottom bboxbottom bboxy2 bboxymax boxbottom',
    'width': 'w bbwidth bboxwidth bboxw boxwidth',
    'height': 'h bbheight bboxheight bboxh boxheight',
    'track': 'trackid trackingid objectid objid instanceid targetid / id'}
_VIDEO_NAMES = ('video', 'videoid', 'videoname', 'videofile', 'stream', 'clip', 'clipid', 'clipname', 'camera',
                'cameraid', 'sequencename')
_SURPLUS = 'surplus values'


class TableRow(NamedTuple):
    """A row as the table states it, xywh in px; ``track`` is None in a table without such a column."""

    line: int
    frame: int
    label: str
    box: tuple[float, float, float, float]
    track: str | None


def read_table(path: Path) -> list[TableRow]:
    """Return the rows of a CSV file with the columns frame, label, x, y, width, height, and perhaps track.

    Values are separated by commas, semicolons (then numbers may have decimal commas), tabs or bars. Right and bottom
    may stand for width and height, which may then be the size of the image; a number at the end of an image's name may
    stand for frame. A track column that is empty in every row is ignored, and so are further columns.

    Raises InputError when a column or a value is missing, a value is not a number, it is unclear which column is meant,
    or rows may be of several videos.
    """
    names, separator, records = _read_records(path)
    _check_one_video(path, names, records)
    columns = _columns(names, path)
    if 'track' in columns and not any(record[columns['track']].strip() for _, record in records):
        del columns['track']
    images = [(line, record[columns['image']].strip()) for line, record in records if 'image' in columns]
    numbers = _frame_numbers(path, images)
    rows = [_row(record, columns, f'{path} line {line}', line, separator, numbers) for line, record in records]
    different = (len({getattr(row, key) for row in rows}) for key in ('track', 'frame'))
    if columns.get('track', '').lower() == 'id' and next(different) == len(rows) > 2 and next(different) > 1:
        raise InputError(f'{path} has another {columns["track"]} in every row, which may number rows or objects: name '
                         'the column "track", or "row"')
    return rows


def _read_records(path: Path) -> tuple[Sequence[str], str, list[tuple[int, dict[str, str]]]]:
    """Return the names of the columns, the separator, and the rows with the lines they are on."""
    records = []
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            header = file.readline()
            file.seek(0)
            separator = max(_SEPARATORS, key=header.count)
            reader = csv.DictReader(file, delimiter=separator, skipinitialspace=True, restkey=_SURPLUS)
            names = reader.fieldnames or ()
            for record in reader:
                if _SURPLUS in record or None in record.values():
                    raise InputError(f'{path} line {reader.line_num} has more or fewer values than the first line has '
                                     'names: fix the row')
                records.append((reader.line_num, record))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f'{path} cannot be read ({error}): save it as CSV in UTF-8') from error
    return names, separator, records


def _check_one_video(path: Path, names: Sequence[str], records: list[tuple[int, dict[str, str]]]) -> None:
    """Raise InputError when a column names several videos."""
    for name in names:
        values = sorted({record[name].strip() for _, record in records} - {''})
        is_of_videos = _plain(name) in _VIDEO_NAMES or all(map(_is_video, values))
        if is_of_videos and len(values) > 1:
            raise InputError(f'{path} seems to have rows of {len(values)} videos, {values[0]} and {values[1]} among '
                             f'them (column {name}): give each video a CSV file of its own, or remove the column')


def _columns(names: Sequence[str], path: Path) -> dict[str, str]:
    """Return the name of the column of each meaning that is needed, and of the track."""
    found = {meaning: _candidates(names, meaning) for meaning in _NAMES}
    size = ['right', 'bottom'] if found['right'] or found['bottom'] else ['width', 'height']
    needed = ['image' if found['image'] and not found['frame'] else 'frame', 'label', 'x', 'y', *size]
    if missing := [meaning for meaning in needed if not found[meaning]]:
        raise InputError(f'{path} has no column {", ".join(missing)}, only {", ".join(names) or "none"}: its first '
                         'line must be frame,label,x,y,width,height (optionally with track), or usual names of these')
    for meaning in (*needed, 'track'):
        if len(found[meaning]) > 1:
            raise InputError(f'{path} has the columns {", ".join(found[meaning])}, which may all be the {meaning}: '
                             f'name the right one {meaning!r}')
    return {meaning: found[meaning][0] for meaning in (*needed, 'track') if found[meaning]}


def _candidates(names: Sequence[str], meaning: str) -> list[str]:
    """Return the columns with the name of a meaning, else those with other names of it, else those with weak ones."""
    tiers = ([name for name in names if _plain(name) in spellings.split()]
             for spellings in (meaning, *_NAMES[meaning].split('/')))
    return next(filter(None, tiers), [])


def _plain(name: str) -> str:
    return re.sub('[^a-z0-9]', '', name.lower())


def _is_video(name: str) -> bool:
    return name.lower().endswith(VIDEO_SUFFIXES)


def _frame_numbers(path: Path, images: list[tuple[int, str]]) -> dict[str, str]:
    """Return the number at the end of the name of each image, given with its line.

    Raises InputError when a name does not end in a number or is a time, or images may be of several videos.
    """
    lines: dict[str, int] = {}
    for line, image in images:
        lines.setdefault(image, line)
    if all(re.fullmatch(r'\d+(\.0*)?', image) for image in lines):  # ids
        return {image: image for image in lines}
    files = [_file_name(image) for image in lines]
    hint = 'add a column "frame" with the numbers of the frames, counted from 0'
    if times := find_times(files, is_one_video=True):
        raise InputError(f'{path} has the image {list(lines)[min(times)]}, whose name is a time: {hint}')
    numbers: dict[str, str] = {}
    seen: dict[str, tuple] = {}  # the first image of the series, and of each number
    for (image, line), file, split in zip(lines.items(), files, split_numbers(files, is_one_video=True), strict=True):
        if split is None or _is_video(image):
            raise InputError(f'{path} line {line} has the image {image!r}, whose name does not end in a number: {hint}')
        numbers[image] = str(split[1])
        for key, value in (('series', (PurePath(file).parent, split[0])), (numbers[image], file)):
            known, other = seen.setdefault(key, (value, image))
            if known != value:
                raise InputError(f'{path} has the images {other} and {image}, which may be of two videos, or '
                                 f'copies: give each video a CSV file of its own, or {hint}')
    return numbers


def _file_name(image: str) -> str:
    """Return the path of an image with slashes, and one suffix for all."""
    path = PurePosixPath(image.replace('\\', '/'))
    return f'{path.with_suffix("") if path.suffix.lower() in IMAGE_SUFFIXES else path}.png'


def _row(record: dict[str, str], columns: dict[str, str], place: str, line: int, separator: str,
         numbers: dict[str, str]) -> TableRow:
    """``numbers`` are those of images."""
    texts = {meaning: record[name].strip() for meaning, name in columns.items()}
    frame = numbers[texts['image']] if 'image' in texts else texts['frame']
    left, top, wide, high = (
        parse_number(text.replace(',', '.') if separator == ';' else text, meaning, place)
        for meaning, text in texts.items() if meaning in ('x', 'y', 'right', 'bottom', 'width', 'height'))
    if 'right' in texts:
        wide, high = wide - left, high - top
    if not texts['label'] or texts.get('track') == '':
        raise InputError(f'{place} has no label or no track: fill it in (-1 as the track of a box without one), or '
                         'take the track column out of the file')
    return TableRow(line, parse_whole(frame, 'frame', place), texts['label'], (left, top, wide, high),
                    texts.get('track'))
