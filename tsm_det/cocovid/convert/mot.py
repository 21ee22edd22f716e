"""Convert sequences in MOTChallenge's layout to CocoVID."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport
from tsm_det.cocovid.convert.frame_files import Frame, parse_number, parse_track, parse_whole
from tsm_det.cocovid.convert.frame_numbers import RowNumbers, cvat_number, find_first_frame
from tsm_det.cocovid.convert.image_videos import note_time_stamps
from tsm_det.cocovid.convert.mot_sequences import MotSequence, find_sequences
from tsm_det.cocovid.convert.name_numbers import split_number
from tsm_det.cocovid.convert.text_records import read_lines
from tsm_det.config import class_names
from tsm_det.errors import InputError

# https://motchallenge.net: the classes of MOT16, MOT17 and MOT20, numbered from 1.
CLASSES = ('pedestrian', 'person_on_vehicle', 'car', 'bicycle', 'motorbike', 'non_mot_vehicle', 'static_person',
           'distractor', 'occluder', 'occluder_on_ground', 'occluder_full', 'reflection')
_ITS_SEQUENCES = re.compile(r'MOT(16|17|20)-[0-9]{2}(-(DPM|FRCNN|SDP))?', re.IGNORECASE)
_CLASS_HINT = 'class (remove columns 8 to 10 if they hold coordinates)'
_COLUMNS = ('frame', 'track', 'left', 'top', 'width', 'height', 'flag', 'class')


def convert_mot(root: str | os.PathLike, out: str | os.PathLike, classes: list[str] | None = None, origin: int = 1,
                max_gap: int = 5, first_frame: int | None = None, ignore: Sequence[str] = (),
                labelled_frames_only: bool = False,
                progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of one sequence or of a folder of sequences.

    A sequence is a folder with ``gt/gt.txt`` or ``gt.txt``, and numbered images in ``img1/`` (or in the ``imDir`` of
    ``seqinfo.ini``) or one video. A folder may also hold videos ``NAME.mp4`` with their rows in ``NAME.txt``. Rows are
    frame (from 1), track (-1: unknown, will be linked), left, top, width, height, and optionally a flag (0: the box
    becomes an ignored region), a class (-1: none), and columns that are ignored. Frame k becomes frame id k - 1. Rows
    may also count from 0, and images too.

    Args:
        root: the sequence, or the folder of sequences.
        out: the JSON file to write; its file names are relative to ``root``.
        classes: names of the classes 1, 2, ...; None takes those of ``gt/labels.txt``, which CVAT writes, or for
            sequences of MOT16, MOT17 and MOT20 MOTChallenge's twelve. Files without a class column have one class,
            by default ``object``.
        origin: number of the leftmost and topmost pixel in gt.txt: 1 as in MOTChallenge, or 0.
        max_gap: largest gap in a linked track, see :func:`~tsm_det.cocovid.linking.link_tracks`.
        first_frame: number of the first frame in gt.txt, 0 or 1; None finds it out from the rows.
        ignore: names of classes whose boxes are regions in which nothing counts.
        labelled_frames_only: leave out frames without a row, because nobody labelled them.
        progress: wraps the list of sequences.

    Raises InputError when a sequence is incomplete or cannot be read, a row has an unknown class, or nothing tells the
    names of the classes or whether frames count from 0 or from 1.
    """
    sequences = find_sequences(Path(root))
    rows = [_read_rows(sequence.gt) for sequence in sequences]
    names = _class_names(sequences, rows, classes)
    numbers = [{row.frame for row in its_rows} for its_rows in rows]
    stamped: list[str] = []
    frames = [sequence.frames(its, stamped) for sequence, its in progress(list(zip(sequences, numbers, strict=True)))]
    first_frame = find_first_frame(
        [RowNumbers(sequence.gt, its, its_frames[-1].frame_id)
         for sequence, its, its_frames in zip(sequences, numbers, frames, strict=True)],
        first_frame, None if any(map(_counts_from_0, frames)) else 1)
    categories = {name: number for number, name in enumerate(names, start=1) if name not in ignore}
    builder = CocoVIDBuilder(categories, max_gap, first_frame, ignore=ignore, labelled_frames_only=labelled_frames_only)
    note_time_stamps(stamped, builder.report.notes)
    if not first_frame:
        builder.report.notes.append('frames in gt.txt count from 0')
    for sequence, its_rows, its_frames in zip(sequences, rows, frames, strict=True):
        boxes = [row.to_box(_class_name(row, names, sequence), origin, first_frame) for row in its_rows]
        builder.add_video(sequence.name, its_frames, boxes, sequence.gt)
    return builder.write(out)


class _Row(NamedTuple):
    line: int
    frame: int
    track: int
    box: tuple[float, float, float, float]
    flag: float
    class_id: int | None

    def to_box(self, label: str | None, origin: int, first_frame: int) -> Box:
        x, y, width, height = self.box
        return Box(self.line, self.frame - first_frame, label, (x - origin, y - origin, width, height),
                   None if label is None else parse_track(self.track), is_crowd=self.flag == 0)


def _read_rows(path: Path) -> list[_Row]:
    return [_row(line, number, f'{path} line {number}')
            for number, line in enumerate(read_lines(path), start=1) if line.strip()]


def _row(line: str, number: int, place: str) -> _Row:
    texts = [text.strip() for text in line.split(',')]
    if len(texts) < 6:
        raise InputError(f'{place} has {len(texts)} values but 6 to 10 are required, separated by commas '
                         f'({",".join(_COLUMNS)},...): fix the row')
    values = {'flag': '1', 'class': '-1'} | dict(zip(_COLUMNS, texts, strict=False))
    frame, track = (parse_whole(values[name], name, place) for name in ('frame', 'track'))
    left, top, width, height, flag = (parse_number(values[name], name, place) for name in _COLUMNS[2:7])
    class_id = parse_whole(values['class'], _CLASS_HINT, place)
    return _Row(number, frame, track, (left, top, width, height), flag, None if class_id == -1 else class_id)


def _class_names(sequences: list[MotSequence], rows: list[list[_Row]], classes: list[str] | None) -> list[str]:
    """Return the names of the classes in order."""
    with_class, without = ([sequence.gt for sequence, its in zip(sequences, rows, strict=True)
                            if any((row.class_id is None) == is_missing for row in its)]
                           for is_missing in (False, True))
    if with_class and without:
        raise InputError(f'{without[0]} has rows without a class but {with_class[0]} has rows with one: '
                         'convert them separately, or give both the same columns')
    names = list(class_names(classes) or (['object'] if without else _known_names(sequences)))
    if without and len(names) > 1:
        raise InputError(f'{without[0]} has no class column but the classes are {", ".join(names)}: '
                         'name one class, or add the column')
    if len(set(names)) < len(names):
        raise InputError(f'the classes are {", ".join(names)} but must be different: name each once')
    return names


def _known_names(sequences: list[MotSequence]) -> Sequence[str]:
    if names := _shared_labels(sequences):
        return names
    for sequence in sequences:
        name = sequence.info.get('name', sequence.folder.resolve().name)
        if not _ITS_SEQUENCES.fullmatch(name):
            raise InputError(f'{sequence.gt} numbers its classes but nothing names them, as {name} is no '
                             'sequence of MOT16, MOT17 or MOT20: name all classes in order with --classes')
    return CLASSES


def _shared_labels(sequences: list[MotSequence]) -> list[str]:
    (first, names), *others = {sequence.folder: sequence.labels() for sequence in sequences}.items()
    for folder, other in others:
        if other != names:
            raise InputError(f'{first} and {folder} have different class names in gt/labels.txt ({", ".join(names)}; '
                             f'{", ".join(other)}): convert them separately, or give --classes if the numbers agree')
    return names


def _counts_from_0(frames: list[Frame]) -> bool:
    """Whether images are numbered from 0 by another tool than CVAT, whose rows count from 1 all the same."""
    name = Path(frames[0].file_name).name
    split = split_number(name)
    return frames[0].frame_in_file is None and split is not None and split[1] == 0 and cvat_number(name) is None


def _class_name(row: _Row, names: list[str], sequence: MotSequence) -> str | None:
    """Return the label of a row; None for a row of flag 0 that is of no known class."""
    if row.class_id is None:
        return names[0]
    if not 1 <= row.class_id <= len(names):
        if row.flag == 0:
            return None
        raise InputError(f'{sequence.gt} line {row.line} has class {row.class_id} but there are names '
                         f'for 1 to {len(names)} ({", ".join(names)}): name all classes in order with --classes')
    return names[row.class_id - 1]
