"""Convert the videos of VisDrone (tasks VID and MOT) to CocoVID."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport
from tsm_det.cocovid.convert.frame_files import parse_track
from tsm_det.cocovid.convert.labelled_videos import (
    LabelledVideo,
    image_frames,
    numbered_images,
    pair_folders,
    region,
    write_videos,
)
from tsm_det.cocovid.convert.text_records import read_records
from tsm_det.errors import InputError

# https://github.com/VisDrone/VisDrone2018-VID-toolkit: categories 1 to 11; 0 is an ignored region.
CLASSES = ('pedestrian', 'people', 'bicycle', 'car', 'van', 'truck', 'tricycle', 'awning-tricycle', 'bus', 'motor',
           'others')
_COLUMNS = {'frame_index': int, 'target_id': int, 'left': float, 'top': float, 'width': float, 'height': float,
            'score': float, 'category': int, 'truncation': float, 'occlusion': float}


def convert_visdrone(root: str | os.PathLike, out: str | os.PathLike, max_gap: int = 5,
                     ignore: Sequence[str] = (), progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of a folder with ``annotations/NAME.txt`` and ``sequences/NAME/0000001.jpg``.

    Frame k becomes frame id k - 1; category ids are VisDrone's. Category 0 is an ignored region; a box of score 0 is
    ignored in its own category (``iscrowd``). Occluded (1, 2) becomes ``occluded``. Targets of -1 are linked.

    Args:
        root: the folder of a split, e.g. ``VisDrone2019-VID-train``.
        out: the JSON file to write; its file names are relative to ``root``.
        max_gap: largest gap in a linked track, see :func:`~tsm_det.cocovid.linking.link_tracks`.
        ignore: labels whose boxes are regions in which nothing counts.
        progress: wraps the list of sequences.

    Raises InputError when a sequence is incomplete or a row is not VisDrone's.
    """
    root = Path(root)
    sequences = []
    for file, folder in pair_folders(root / 'annotations', '.txt', root / 'sequences'):
        boxes = [_box(values, line, file) for line, values in read_records(file, _COLUMNS, ',')]
        frames = partial(image_frames, numbered_images(folder, 1), f'sequences/{folder.name}/')
        sequences.append(LabelledVideo(file.stem, file, boxes, frames))
    categories = {name: number for number, name in enumerate(CLASSES, start=1) if name not in ignore}
    return write_videos(sequences, CocoVIDBuilder(categories, max_gap, first_frame=1, ignore=ignore), out, progress)


def _box(values: dict, line: int, file: Path) -> Box:
    frame, box = values['frame_index'] - 1, tuple(values[key] for key in ('left', 'top', 'width', 'height'))
    if values['category'] == 0:
        return region(line, frame, box)
    if not 1 <= values['category'] <= len(CLASSES):
        raise InputError(f'{file} line {line} has category {values["category"]} but VisDrone has 0 to {len(CLASSES)}: '
                         'fix the row, or use the command mot with --classes')
    return Box(line, frame, CLASSES[values['category'] - 1], box, parse_track(values['target_id']),
               values['occlusion'] > 0, values['score'] == 0)
