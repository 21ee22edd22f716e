"""Read the lists of ImageNet videos, key frames and stills that the field trains and tests on."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from tsm_det.errors import InputError

_NAMES = {'train': 'VID_train_15frames.txt', 'val': 'VID_val_videos.txt', 'det': 'DET_train_30classes.txt'}


class Video(NamedTuple):
    """A listed video: its folder below Data/VID, number of frames, and key frames (None for ``val``)."""

    folder: str
    length: int
    key_frames: tuple[int, ...] | None


def read_videos(root: Path, split: str, lists: str | os.PathLike | None = None) -> list[Video]:
    """Read the videos of ``train`` with their key frames, or of ``val``.

    A line of the training list is ``folder 1 key_frame length``; of the other list, ``folder first 0 length``. Key
    frames count from 0, like the files (``000000.JPEG``).

    Args:
        root: the ILSVRC folder.
        split: ``train`` or ``val``.
        lists: folder of the lists; None is ``root/ImageSets``.

    Raises InputError when the list is missing or has an invalid line.
    """
    path = _path(root, split, lists)
    key_frames: defaultdict[str, set[int]] = defaultdict(set)
    lengths: dict[str, int] = {}
    for number, line in enumerate(_lines(path), start=1):
        try:
            folder, _, *numbers = line.split()
            frame, length = map(int, numbers)
        except ValueError as error:
            raise InputError(f'{path} line {number} is {line!r} but a folder and three whole numbers are needed: '
                             'fetch the list again') from error
        if not 0 <= frame < length or lengths.setdefault(folder, length) != length:
            raise InputError(f'{path} line {number} is {line!r} but frames are from 0 to below the length, the '
                             'same in all lines of a video: fetch the list again')
        key_frames[folder].add(frame)
    return [Video(folder, length, tuple(sorted(key_frames[folder])) if split == 'train' else None)
            for folder, length in lengths.items()]


def read_stills(root: Path, lists: str | os.PathLike | None = None) -> list[str]:
    """Read the stills of DET with an object of the 30 classes, including the duplicates in the list.

    A line is the path below Data/DET without ``.JPEG``, optionally followed by a number.

    Args, Raises: see :func:`read_videos`.
    """
    return [line.split()[0] for line in _lines(_path(root, 'det', lists))]


def _path(root: Path, split: str, lists: str | os.PathLike | None) -> Path:
    kind, part = ('DET', '') if split == 'det' else ('VID', f'/{split}')
    for folder in (f'Data/{kind}{part}', f'Annotations/{kind}{part}'):
        if not (root / folder).is_dir():
            raise InputError(f'{root} has no folder {folder}: name the ILSVRC2015 folder that holds Annotations/, '
                             'Data/ and ImageSets/')
    path = (root / 'ImageSets' if lists is None else Path(lists)) / _NAMES[split]
    if not path.is_file():
        raise InputError(f'the list {path} is missing: fetch it as data/README.md says and put it there, or name '
                         'its folder with --lists')
    return path


def _lines(path: Path) -> list[str]:
    try:
        lines = [line for line in path.read_text(encoding='utf-8-sig').splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise InputError(f'{path} is not UTF-8 text ({error.reason}): fetch the list again') from error
    if not lines:
        raise InputError(f'{path} is empty but needs one entry per line: fetch the list again')
    return lines
