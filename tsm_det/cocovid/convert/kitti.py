"""Convert the tracking benchmark of KITTI to CocoVID."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport, number_classes
from tsm_det.cocovid.convert.frame_files import parse_track
from tsm_det.cocovid.convert.labelled_videos import (
    LabelledVideo,
    image_frames,
    labels_of,
    numbered_images,
    pair_folders,
    region,
    write_videos,
)
from tsm_det.cocovid.convert.text_records import read_records

# The devkit of https://www.cvlibs.net/datasets/kitti/eval_tracking.php; columns of the 3D box follow.
_COLUMNS = {'frame': int, 'track_id': int, 'type': str, 'truncated': float, 'occluded': int, 'alpha': float,
            'left': float, 'top': float, 'right': float, 'bottom': float}


def convert_kitti(root: str | os.PathLike, out: str | os.PathLike, classes: list[str] | None = None, max_gap: int = 5,
                  ignore: Sequence[str] = (), progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of a folder with ``label_02/0000.txt`` and ``image_02/0000/000000.png``.

    Frames and pixels count from 0. ``DontCare`` is an ignored region. Partly and largely occluded (1, 2) becomes
    ``occluded``.

    Args:
        root: the folder ``training``, or the folder above it.
        out: the JSON file to write; its file names are relative to ``root``.
        classes: the categories in order; None takes the types in use, sorted.
        max_gap: largest gap in a track that is linked because its id is -1.
        ignore: labels whose boxes are regions in which nothing counts.
        progress: wraps the list of sequences.

    Raises InputError when a sequence is incomplete, a row is not KITTI's, or a type is not in ``classes``.
    """
    root = Path(root)
    prefix = '' if (root / 'label_02').is_dir() else 'training/'
    sequences = []
    for file, folder in pair_folders(root / prefix / 'label_02', '.txt', root / prefix / 'image_02'):
        boxes = [_box(values, line) for line, values in read_records(file, _COLUMNS)]
        frames = partial(image_frames, numbered_images(folder, 0), f'{prefix}image_02/{folder.name}/')
        sequences.append(LabelledVideo(file.stem, file, boxes, frames))
    builder = CocoVIDBuilder(number_classes(labels_of(sequences), classes, ignore), max_gap, ignore=ignore)
    return write_videos(sequences, builder, out, progress)


def _box(values: dict, line: int) -> Box:
    left, top, right, bottom = (values[key] for key in ('left', 'top', 'right', 'bottom'))
    box = left, top, right - left, bottom - top
    if values['type'] == 'DontCare':
        return region(line, values['frame'], box)
    return Box(line, values['frame'], values['type'], box, parse_track(values['track_id']),
               values['occluded'] in (1, 2))
