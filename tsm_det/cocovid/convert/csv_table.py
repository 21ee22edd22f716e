"""Read tables of boxes with the separators and column names of any tool."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tsm_det.cocovid.convert.frame_files import parse_number, parse_whole
from tsm_det.cocovid.convert.name_numbers import split_numbers
from tsm_det.errors import InputError

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
    'track': 'trackid trackingid objectid objid instanceid targetid / id',
    'video': 'stream videoid videoname videofile sequencename'}
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
    stand for frame. A column of tracks that is empty in every row is none. Further columns are ignored.

    Raises InputError when a column or a value is missing, a value is not a number, it is unclear which column is meant,
    or rows are of several videos.
    """
    columns, separator, lines, records = _read_records(path)
    cells = {meaning: [record[name].strip() for record in records] for meaning, name in columns.items()}
    if len(videos := sorted(set(cells.pop('video', ())))) > 1:
        raise InputError(f'{path} has rows of {len(videos)} videos in its column {columns["video"]}, {videos[0]} and '
                         f'{videos[1]} among them: give each video a CSV file of its own')
    if not any(cells.get('track', ())):
        cells.pop('track', None)
    if 'image' in cells:
        cells['frame'] = _frame_numbers(cells.pop('image'), path)
    rows = [_row(dict(zip(cells, values, strict=True)), path, line, separator)
            for line, *values in zip(lines, *cells.values(), strict=True)]
    different = (len({getattr(row, key) for row in rows}) for key in ('track', 'frame'))
    if columns.get('track', '').lower() == 'id' and next(different) == len(rows) > 2 and next(different) > 1:
        raise InputError(f'{path} has another {columns["track"]} in every row, which may number rows or objects: name '
                         'the column "track", or "row"')
    return rows


def _read_records(path: Path) -> tuple[dict[str, str], str, list[int], list[dict[str, str]]]:
    """Return the names of the columns by meaning, the separator, and the lines that rows are on and their values."""
    lines, records = [], []
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            header = file.readline()
            file.seek(0)
            separator = max(_SEPARATORS, key=header.count)
            reader = csv.DictReader(file, delimiter=separator, skipinitialspace=True, restkey=_SURPLUS)
            columns = _columns(reader.fieldnames or (), path)
            for record in reader:
                if _SURPLUS in record or None in record.values():
                    raise InputError(f'{path} line {reader.line_num} has more or fewer values than the first line has '
                                     'names: fix the row')
                lines.append(reader.line_num)
                records.append(record)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f'{path} cannot be read ({error}): save it as CSV in UTF-8') from error
    return columns, separator, lines, records


def _columns(names: Sequence[str], path: Path) -> dict[str, str]:
    """Return the name of the column of each meaning that is needed, and of the track and the video."""
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
    return {meaning: found[meaning][0] for meaning in (*needed, 'track', 'video') if found[meaning]}


def _candidates(names: Sequence[str], meaning: str) -> list[str]:
    """Return the columns with the name of a meaning, else those with other names of it, else those with weak ones."""
    plain = [re.sub('[^a-z0-9]', '', name.lower()) for name in names]
    tiers = ([name for name, short in zip(names, plain, strict=True) if short in spellings.split()]
             for spellings in (meaning, *_NAMES[meaning].split('/')))
    return next(filter(None, tiers), [])


def _frame_numbers(images: list[str], path: Path) -> list[str]:
    """Return the numbers at the end of the names of images, and names without a number."""
    splits = split_numbers([image.replace('\\', '/') for image in images], is_one_video=True)
    numbers = [image if split is None else str(split[1]) for image, split in zip(images, splits, strict=True)]
    first: dict[str, str] = {}
    for image, number in zip(images, numbers, strict=True):
        if first.setdefault(number, image) != image:
            raise InputError(f'{path} has {first[number]} and {image}, which are both frame {number}: give each video '
                             'a CSV file of its own')
    return numbers


def _row(texts: dict[str, str], path: Path, line: int, separator: str) -> TableRow:
    place = f'{path} line {line}'
    left, top, wide, high = (
        parse_number(text.replace(',', '.') if separator == ';' else text, meaning, place)
        for meaning, text in texts.items() if meaning in ('x', 'y', 'right', 'bottom', 'width', 'height'))
    if 'right' in texts:
        wide, high = wide - left, high - top
    if not texts['label'] or texts.get('track') == '':
        raise InputError(f'{place} has no label or no track: fill it in, or take the track column out of the file')
    return TableRow(line, parse_whole(texts['frame'], 'frame', place), texts['label'], (left, top, wide, high),
                    texts.get('track'))
