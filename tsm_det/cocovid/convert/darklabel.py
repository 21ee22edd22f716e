"""Convert videos labelled in DarkLabel to CocoVID."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport, number_classes
from tsm_det.cocovid.convert.frame_files import parse_number, parse_track, parse_whole, video_frames
from tsm_det.cocovid.convert.frame_numbers import RowNumbers, find_first_frame
from tsm_det.cocovid.convert.labelled_videos import LabelledVideo, labels_of, write_videos
from tsm_det.cocovid.convert.text_records import read_lines
from tsm_det.cocovid.convert.video_pairs import pair_videos
from tsm_det.errors import InputError

# In the words of darklabel.yml, where users define layouts. A bracket repeats: version 1 wrote a line per frame.
LAYOUTS = ('fn,cname,id,x1,y1,w,h', 'fn,cname,x1,y1,w,h', 'fn,id,x1,y1,w,h', 'fn,id,x1,y1,w,h,c,c,c,c',
           'fn,n,[id,x1,y1,x2,y2,cname]', 'fn,n,[id,x1,y1,w,h,cname]', 'fn,n,[x1,y1,x2,y2,cname]',
           'fn,n,[x1,y1,w,h,cname]')
_CORNERS = ({'x1', 'y1', 'w', 'h'}, {'x1', 'y1', 'x2', 'y2'}, {'cx', 'cy', 'w', 'h'})
_WORDS = {'fn', 'n', 'cname', 'id', 'difficult', 'c'}.union(*_CORNERS)
_NO_CLASS = 'object'


def convert_darklabel(folder: str | os.PathLike, out: str | os.PathLike, layout: str | None = None,
                      classes: list[str] | None = None, max_gap: int = 5,
                      first_frame: int | None = None, ignore: Sequence[str] = (), labelled_frames_only: bool = False,
                      progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of a folder of videos ``NAME.mp4`` and text files ``NAME.txt`` or ``NAME_gt.txt``.

    ``fn`` counts frames from 0, unless the last row shows that it counts from 1. Frames without a box are
    empty. ``difficult`` boxes are ignored (``iscrowd``).

    Args:
        folder: the folder.
        out: the JSON file to write; its file names are relative to ``folder``.
        layout: columns of the text files as in darklabel.yml (``data_fmt``), e.g. ``fn,cname,id,x1,y1,w,h``. None takes
            the one of ``LAYOUTS`` in which every row can be read and every box is inside its frame.
        classes: the categories in order; None takes the labels in use, sorted, or ``object`` where there is none.
        max_gap: largest gap in a linked track, see :func:`~tsm_det.cocovid.linking.link_tracks`.
        first_frame: number of the first frame in the text files, 0 or 1; None finds it out from their rows.
        ignore: labels whose boxes are regions in which nothing counts.
        labelled_frames_only: leave out frames without a box, because nobody labelled them.
        progress: wraps the list of videos.

    Raises InputError when a video or text file lacks its partner, no layout or several fit, or a label is not in
    ``classes``.
    """
    sources = [(video, text, video_frames(video, video.name))
               for video, text in progress(pair_videos(Path(folder), '.txt', ('', '_gt')))]
    columns = _Layout.parse(layout or _fitting_layout([(text, frames[0].size) for _, text, frames in sources]))
    videos = [LabelledVideo(video.stem, text, list(_boxes(text, columns)), partial(list, frames))
              for video, text, frames in sources]
    if classes is not None and len(classes) == 1 and 'cname' not in columns.head + columns.repeated:
        videos = [video._replace(boxes=[box._replace(label=classes[0]) for box in video.boxes]) for video in videos]
    first = find_first_frame([RowNumbers(video.source, {box.frame for box in video.boxes}, len(video.frames()) - 1)
                              for video in videos], first_frame, 0)
    videos = [video._replace(boxes=[box._replace(frame=box.frame - first) for box in video.boxes]) for video in videos]
    builder = CocoVIDBuilder(number_classes(labels_of(videos), classes, ignore), max_gap, first, ignore=ignore,
                             labelled_frames_only=labelled_frames_only)
    builder.report.notes.extend([f'frames count from {first}'] * first)
    return write_videos(videos, builder, out, iter)


class _Layout(NamedTuple):
    """Columns of a line, then those that repeat for each box."""

    text: str
    head: list[str]
    repeated: list[str]

    @classmethod
    def parse(cls, text: str) -> _Layout:
        head, _, repeated = text.strip().removeprefix('[').partition('[')
        layout = cls(text, *(re.findall(r'\w+', part) for part in (head, repeated)))
        words = {*layout.head, *layout.repeated}
        if (words - _WORDS or 'fn' not in layout.head or ('n' in layout.head) != bool(layout.repeated)
                or not any(corners <= words for corners in _CORNERS)):
            raise InputError(f'the layout {text!r} cannot be read: it must have fn, and x1,y1,w,h or x1,y1,x2,y2 or '
                             f'cx,cy,w,h, and may have {", ".join(sorted(_WORDS))}, as in {" ".join(LAYOUTS)}')
        return layout


def _fitting_layout(texts: list[tuple[Path, tuple[int, int]]]) -> str:
    fitting = [layout for layout in LAYOUTS if all(_fits(layout, text, size) for text, size in texts)]
    if len(fitting) != 1:
        raise InputError(f'{texts[0][0].parent} has text files that {len(fitting)} known layouts fit '
                         f'({" ".join(fitting or LAYOUTS)}): name data_fmt of your darklabel.yml with --layout')
    return fitting[0]


def _fits(layout: str, text: Path, size: tuple[int, int]) -> bool:
    try:
        boxes = list(_boxes(text, _Layout.parse(layout)))
    except InputError:
        return False
    inside = (min(x, y) > -2 and min(width, height) > 0 and x + width < size[1] + 2 and y + height < size[0] + 2
              for x, y, width, height in (box.box for box in boxes))
    return all(inside) and not any(re.fullmatch(r'-?[0-9.]+', box.label or '') for box in boxes)


def _boxes(path: Path, layout: _Layout) -> Iterator[Box]:
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        place, texts = f'{path} line {number}', [text.strip() for text in line.strip().rstrip(',').split(',')]
        first, rest = texts[:len(layout.head)], texts[len(layout.head):]
        values = dict(zip(layout.head, first, strict=False))
        count = parse_whole(values.get('n'), 'n', place) if layout.repeated else 0
        if len(first) < len(layout.head) or len(rest) != count * len(layout.repeated):
            raise InputError(f'{place} has {len(texts)} values, which is not the layout {layout.text}: fix the row, or '
                             'name another layout with --layout')
        size = len(layout.repeated) or 1
        groups = [rest[start:start + size] for start in range(0, len(rest), size)] if layout.repeated else [[]]
        for group in groups:
            yield _box({**values, **dict(zip(layout.repeated, group, strict=True))}, place, number)


def _box(values: dict[str, str], place: str, line: int) -> Box:
    number = {word: (parse_whole if word in ('fn', 'difficult') else parse_number)(text, word, place)
              for word, text in values.items() if word not in ('cname', 'id', 'c', 'n')}
    width, height = (number[side] if side in number else number[end] - number[start]
                     for side, start, end in (('w', 'x1', 'x2'), ('h', 'y1', 'y2')))
    left, top = (number[start] if start in number else number[centre] - length / 2
                 for start, centre, length in (('x1', 'cx', width), ('y1', 'cy', height)))
    label = values.get('cname', '')
    return Box(line, int(number['fn']), label if label not in ('', 'null') else _NO_CLASS, (left, top, width, height),
               parse_track(values.get('id')), is_crowd=number.get('difficult') == 1)
