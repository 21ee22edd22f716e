"""Read tables of boxes with the separators and column names of any tool."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tsm_det.cocovid.convert.frame_files import parse_number, parse_whole
from tsm_det.cocovid.convert.name_numbers import split_number
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
    'track': 'trackid trackingid objectid objid instanceid targetid / id'}
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
    stand for frame. Further columns are ignored.

    Raises InputError when a column or a value is missing, a value is not a number, or it is
    unclear which column is meant.
    """
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            header = file.readline()
            file.seek(0)
            separator = max(_SEPARATORS, key=header.count)
            reader = csv.DictReader(file, delimiter=separator, skipinitialspace=True, restkey=_SURPLUS)
            columns = _columns(reader.fieldnames or (), path)
            rows = [_row(record, columns, f'{path} line {reader.line_num}', reader.line_num, separator)
                    for record in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f'{path} cannot be read ({error}): save it as CSV in UTF-8') from error
    different = (len({getattr(row, key) for row in rows}) for key in ('track', 'frame'))
    if columns.get('track', '').lower() == 'id' and next(different) == len(rows) > 2 and next(different) > 1:
        raise InputError(f'{path} has another {columns["track"]} in every row, which may number rows or objects: name '
                         'the column "track", or "row"')
    return rows


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
    plain = [re.sub('[^a-z0-9]', '', name.lower()) for name in names]
    tiers = ([name for name, short in zip(names, plain, strict=True) if short in spellings.split()]
             for spellings in (meaning, *_NAMES[meaning].split('/')))
    return next(filter(None, tiers), [])


def _row(record: dict, columns: dict[str, str], place: str, line: int, separator: str) -> TableRow:
    if _SURPLUS in record or None in record.values():
        raise InputError(f'{place} has more or fewer values than the first line has names: fix the row')
    texts = {meaning: record[name].strip() for meaning, name in columns.items()}
    frame = texts.get('frame')
    if frame is None and (split := split_number(texts['image'].replace('\\', '/'))) is not None:
        frame = str(split[1])
    left, top, wide, high = (
        parse_number(text.replace(',', '.') if separator == ';' else text, meaning, place)
        for meaning, text in texts.items() if meaning in ('x', 'y', 'right', 'bottom', 'width', 'height'))
    if 'right' in texts:
        wide, high = wide - left, high - top
    if not texts['label'] or texts.get('track') == '':
        raise InputError(f'{place} has no label or no track: fill it in, or take the track column out of the file')
    return TableRow(line, parse_whole(frame, 'frame', place), texts['label'], (left, top, wide, high),
                    texts.get('track'))
