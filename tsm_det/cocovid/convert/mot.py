"""Sequences in MOTChallenge's layout, turned into one CocoVID file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from tsm_det.cocovid.builder import CocoVIDBuilder, ConversionReport
from tsm_det.cocovid.convert.mot_sequence import GT, Row, Sequence, find_sequences, read_rows
from tsm_det.errors import InputError

# https://motchallenge.net: the classes of MOT16, MOT17 and MOT20, numbered from 1.
CLASSES = ('pedestrian', 'person_on_vehicle', 'car', 'bicycle', 'motorbike', 'non_mot_vehicle', 'static_person',
           'distractor', 'occluder', 'occluder_on_ground', 'occluder_full', 'reflection')


def convert_mot(root: str | os.PathLike, out: str | os.PathLike, classes: list[str] | None = None, origin: int = 1,
                max_gap: int = 5, progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of one sequence or of a folder of sequences.

    A sequence is a folder with ``gt/gt.txt`` and its frames as numbered images in ``img1/``, or in the ``imDir`` of
    ``seqinfo.ini``, if it has one. Rows of ``gt.txt``: frame (from 1), track (-1: not known, to be linked), left,
    top, width, height, and perhaps a flag (rows of flag 0 are not to be considered, so they are left out and
    counted), class (-1: none), and more that does not matter here. Frame k becomes frame id k - 1.

    Args:
        root: the sequence, or the folder of sequences.
        out: the JSON file to write; its file names are relative to ``root``.
        classes: names of the classes 1, 2, ...; None takes those of ``gt/labels.txt``, which CVAT writes, else
            MOTChallenge's twelve. Without a class column: the one name, None is ``object``.
        origin: what gt.txt calls the leftmost and topmost pixel: 1 as in MOTChallenge, or 0.
        max_gap: how many frames without a box a linked track survives.
        progress: wraps the list of sequences.

    Raises:
        InputError: a sequence is not complete or cannot be read, or a row has no class of these.
    """
    sequences = find_sequences(Path(root))
    rows = [read_rows(sequence.folder / GT) for sequence in sequences]
    names = _names(sequences, rows, classes)
    builder = CocoVIDBuilder({name: number for number, name in enumerate(names, start=1)}, max_gap, first_frame=1)
    for sequence, its_rows in progress(list(zip(sequences, rows, strict=True))):
        kept = [row for row in its_rows if row.flag != 0]
        if len(kept) < len(its_rows):
            builder.report.left_out['rows of flag 0 left out'] += len(its_rows) - len(kept)
        boxes = [row.to_box(_name(row, names, sequence), origin) for row in kept]
        builder.add_video(sequence.name, sequence.frames(), boxes, sequence.folder / GT)
    return builder.write(out)


def _names(sequences: list[Sequence], rows: list[list[Row]], classes: list[str] | None) -> list[str]:
    """The name of each class in order; a file without classes has one."""
    with_class, without = ([sequence.folder / GT for sequence, its in zip(sequences, rows, strict=True)
                            if any((row.class_id is None) == is_missing for row in its)]
                           for is_missing in (False, True))
    if with_class and without:
        raise InputError(f'{without[0]} has rows without a class but {with_class[0]} has rows with one: '
                         'convert them to one layout, or apart')
    if without:
        names = list(classes or ['object'])
        if len(names) > 1:
            raise InputError(f'{without[0]} has no class column but the classes are {", ".join(names)}: '
                             'name one, or add the column')
        return names
    names = list(classes or _labels(sequences) or CLASSES)
    if len(set(names)) < len(names):
        raise InputError(f'the classes are {", ".join(names)} but need to be different: name each once')
    return names


def _labels(sequences: list[Sequence]) -> list[str]:
    """The names in ``gt/labels.txt``, one a line, which all sequences share; none without the file."""
    labels = {sequence.folder: sequence.labels() for sequence in sequences}
    (first, names), *others = labels.items()
    for folder, other in others:
        if other != names:
            raise InputError(f'{first} and {folder} have other class names in gt/labels.txt ({", ".join(names)}; '
                             f'{", ".join(other)}): convert them apart, or give --classes if the numbers agree')
    return names


def _name(row: Row, names: list[str], sequence: Sequence) -> str:
    if row.class_id is None:
        return names[0]
    if not 1 <= row.class_id <= len(names):
        raise InputError(f'{sequence.folder / GT} line {row.line} has the class {row.class_id} but there are names '
                         f'for 1 to {len(names)} ({", ".join(names)}): name all classes in order with --classes')
    return names[row.class_id - 1]
