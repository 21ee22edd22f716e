"""The sources that names on a command line stand for: lists, folders and patterns."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from glob import glob, has_magic
from itertools import pairwise
from pathlib import Path
from statistics import mean, pstdev
from typing import NamedTuple

from tsm_det.errors import InputError
from tsm_det.video.connection import is_live_address

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
VIDEO_SUFFIXES = ('.3gp', '.asf', '.avi', '.flv', '.gif', '.m2ts', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg',
                  '.mts', '.ogv', '.ts', '.vob', '.webm', '.wmv')
_NUMBER = re.compile(r'(?<![\d.])(\d+)(?:\.(\d+))?(?=\.[^.]+$)')  # at the end of a name, before the suffix


class SourceName(NamedTuple):
    """The name of one source; sources with the same ``queue`` run one after another."""

    name: str
    queue: str | None = None


def source_names(names: Iterable[str]) -> list[SourceName]:
    """Resolve the sources of a command line.

    A text file ``NAME.txt`` lists sources, one per line, with comments behind ``#``. A folder or a pattern of videos
    stands for them all, in natural order, in one queue. ``~`` is the home folder.

    Raises:
        InputError: a list cannot be read or is empty, or a folder holds videos and images.
    """
    return [source for line in lines_of(names) for source in _resolve(os.path.expanduser(line))]


def lines_of(names: Iterable[str]) -> list[str]:
    """Names, in which lists ``NAME.txt`` have become their lines.

    Raises InputError when a list cannot be read or is empty.
    """
    return [line for name in names for line in (
        _lines(name) if name.lower().endswith('.txt') and '://' not in name else [name])]


def files_of(place: str) -> list[str]:
    """The images, or the videos, of a folder or a pattern, in natural order (2 before 10).

    Raises InputError when it holds both.
    """
    found = Path(place).iterdir() if os.path.isdir(place) else map(Path, glob(place, recursive=True))
    # File managers write notes whose names start with a dot.
    paths = [str(path) for path in found if path.name[0] != '.']
    images, videos = ([path for path in paths if path.lower().endswith(suffixes)]
                      for suffixes in (IMAGE_SUFFIXES, VIDEO_SUFFIXES))
    if images and videos:
        raise InputError(f'{place} holds {len(images)} image(s) and {len(videos)} video(s), such as '
                         f'{os.path.basename(images[0])} and {os.path.basename(videos[0])}, but must hold one kind: '
                         "give a pattern such as 'FOLDER/*.mp4'")
    return _in_natural_order(images or videos)


def are_decimals(numbers: Collection[tuple[str, str]]) -> bool | None:
    """Whether digits before and after points are decimal numbers, as in 0.1, 0.15, 0.2, not counted, as in 1.9, 1.10.

    None where all that have a point have as many digits after it, whose order does not depend on this.
    """
    numbers = [(before, after) for before, after in numbers if after]
    lengths = {len(after) for _, after in numbers}
    if len(lengths) < 2:
        return None
    # Counted numbers of several lengths are padded to the smallest, decimals have no zeros at their end.
    if all(is_epoch(before) for before, _ in numbers) or any(
            after[0] == '0' and len(after) > min(lengths) for _, after in numbers):
        return True
    if any(after[1:].endswith('0') for _, after in numbers):
        return False
    values = sorted(Decimal(f'{before}.{after}') for before, after in numbers)
    pairs = sorted((int(before), int(after)) for before, after in numbers)
    steps = [float(later - earlier) for earlier, later in pairwise(values)]
    counts = [later[1] - earlier[1] for earlier, later in pairwise(pairs) if later[0] == earlier[0]]
    return bool(counts) and pstdev(steps) * mean(counts) < pstdev(counts) * mean(steps)  # the more regular ones


def is_epoch(digits: str) -> bool:
    """Whether digits are seconds since 1970 of the years 2001 to 2033."""
    return len(digits) == 10 and digits[0] == '1'


def is_many(name: str) -> bool:
    """Whether a name is a folder or a pattern."""
    return os.path.isdir(name) or (has_magic(name) and not os.path.exists(name))


def _in_natural_order(paths: list[str]) -> list[str]:
    found = [_NUMBER.search(path) for path in paths]
    are_counted = are_decimals([(match[1], match[2] or '') for match in found if match]) is False
    return sorted(paths, key=_natural_key if are_counted else _decimal_key)


def _decimal_key(path: str) -> list:
    if (match := _NUMBER.search(path)) is None:
        return _natural_key(path)
    return [*_natural_key(path[:match.start()]), Decimal(match.group()), path[match.end():]]


def _natural_key(text: str) -> list[int | str]:
    # Splitting by a group puts the numbers at odd positions.
    return [int(part) if k % 2 else part.lower() for k, part in enumerate(re.split(r'(\d+)', text))]


def _resolve(name: str) -> list[SourceName]:
    if is_live_address(name) or not is_many(name):
        return [SourceName(name)]
    files = files_of(name)
    is_videos = bool(files) and files[0].lower().endswith(VIDEO_SUFFIXES)
    return [SourceName(path, name) for path in files] if is_videos else [SourceName(name)]


def _lines(path: str) -> Iterator[str]:
    try:
        lines = Path(path).expanduser().read_text(encoding='utf-8-sig').splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f'{path} cannot be read as a list of sources ({error}): give a UTF-8 text file with one '
                         'source per line') from error
    sources = [source for line in lines if (source := _without_comment(line.strip()))]
    if not sources:
        raise InputError(f'{path} lists no source: write one address or path per line')
    yield from sources


def _without_comment(line: str) -> str:
    """Cut a comment off; a name may contain # itself."""
    return line if os.path.exists(os.path.expanduser(line)) else re.split(r'(?:^|\s+)#', line)[0]
