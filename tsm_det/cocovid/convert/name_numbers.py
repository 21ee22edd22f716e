"""Numbers at the end of file names: of frames, or of times."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path, PurePath
from statistics import median
from typing import NamedTuple

from tsm_det.errors import InputError
from tsm_det.video.source_names import are_decimals, is_epoch

_DATE_AND_TIME = re.compile(r'(?<!\d)(\d{4})([-_.]?)(\d\d)\2(\d\d)[-_.T ]{1,3}(\d\d)([-_.:])(\d\d)\6(\d\d)'
                            r'(?:([-_.,])(\d{1,9}))?Z?$')
_DATE_IN_DIGITS = re.compile(r'(?<!\d)(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)[-_.](\d{1,9})$')
_SECONDS = re.compile(r'(?<![\d.])(\d{1,10})(?:\.(\d+))?$')
_FRACTION_DIGITS = (1, 2, 3, 6, 7, 9)  # of seconds behind a date's point; other numbers of digits may count frames


class _Time(NamedTuple):
    """A name read as a time: the text before it, whole seconds, digits after the point."""

    prefix: str
    second: int
    fraction: str
    is_date: bool
    is_certain: bool

    def microseconds(self) -> int:
        return self.second * 10**6 + int(self.fraction[:6].ljust(6, '0'))


def split_numbers(files: Sequence[str], is_one_video: bool = False) -> list[tuple[str, int] | None]:
    """Split the number off the end of each file's name: (text before it, number); None without a number.

    A time becomes microseconds: seconds since 1970, a date with a time, and other decimal numbers where those of a
    folder go on from one whole number to the next, as ``0.92``, ``0.96``, ``1.00`` do. Else the number is behind the
    point: ``cam1.0001`` is 1. Roboflow's exports end in a checksum (``NAME-0012_jpg.rf.d2c1....jpg``), which is
    ignored.

    Args:
        files: paths or names; those of one folder are read alike.
        is_one_video: the files of a folder are frames of one video.

    Raises InputError when names may be times, or single frames of several videos.
    """
    splits = [_last_number(_stem(file)) for file in files]
    for place, time in find_times(files, is_one_video).items():
        splits[place] = time
    return splits


def find_times(files: Sequence[str], is_one_video: bool = False) -> dict[int, tuple[str, int]]:
    """Return the text before it and the microseconds of each name that is a time, by its place; see
    :func:`split_numbers`.
    """
    series: defaultdict[tuple[PurePath, str], dict[int, _Time]] = defaultdict(dict)
    wrong_dates = set()
    for place, file in enumerate(files):
        try:
            if (time := _time(_stem(file))) is not None:
                series[PurePath(file).parent, time.prefix][place] = time
        except ValueError as error:
            wrong_dates.add((PurePath(file).parent, error.args[-1]))
    return {place: (time.prefix, time.microseconds()) for key, times in series.items()
            if key not in wrong_dates and _are_times(list(times.values()), [files[at] for at in times], is_one_video)
            for place, time in times.items()}


def split_number(file: str) -> tuple[str, int] | None:
    """Split the number off the end of one file's name, as :func:`split_numbers` does."""
    return split_numbers([file])[0]


def number_images(images: list[Path]) -> dict[int, Path]:
    """Return images of one video by the number at the end of their name.

    Raises InputError when one has no number, or that of another.
    """
    numbers: dict[int, Path] = {}
    splits = split_numbers([path.name for path in images], is_one_video=True)
    for path, split in zip(images, splits, strict=True):
        if split is None:
            raise InputError(f'{path} has no number at the end of its name, which links it to its boxes: rename the '
                             'images 000001, 000002, ...')
        if (other := numbers.setdefault(split[1], path)) != path:
            raise InputError(f'{path} and {other.name} have the same number, which links them to their boxes: rename '
                             'or remove one')
    return numbers


def _stem(file: str) -> str:
    return re.sub(r'_(jpe?g|png)\.rf\.\w+$', '', PurePath(file).stem, flags=re.IGNORECASE)


def _last_number(stem: str) -> tuple[str, int] | None:
    found = re.search(r'[0-9]+$', stem)
    # 64-bit frame ids hold at most 18 digits of any value.
    return (stem[:found.start()], int(found.group())) if found and len(found.group()) <= 18 else None


def _time(stem: str) -> _Time | None:
    """Read the end of a name as a time, if it can be one.

    Raises ValueError, with the text before it, when it is written as a date and a time that do not exist.
    """
    if found := _DATE_AND_TIME.search(stem):
        year, _, month, day, hour, _, minute, second, point, fraction = found.groups()
        is_certain = point in ('.', ',') and len(fraction) in _FRACTION_DIGITS
    elif found := _DATE_IN_DIGITS.search(stem):
        (year, month, day, hour, minute, second, fraction), is_certain = found.groups(), False
    elif found := _SECONDS.search(stem):
        whole, fraction = found.groups()
        return _Time(stem[:found.start()], int(whole), fraction or '', False, is_epoch(whole))
    else:
        return None
    prefix = stem[:found.start()]
    try:
        moment = datetime.fromisoformat(f'{year}-{month}-{day}T{hour}:{minute}:{second}+00:00')
    except ValueError as error:
        raise ValueError(prefix) from error
    return _Time(prefix, int(moment.timestamp()), fraction or '', True, is_certain)


def _are_times(times: list[_Time], files: list[str], is_one_video: bool) -> bool:
    """Whether names of one folder, with one text before the number, are times of one video."""
    if not any(time.fraction for time in times):  # plain numbers, or dates
        return times[0].is_date
    first = min(time.second for time in times)
    if all(time.is_certain for time in times) or are_decimals(
            [(str(time.second - first), time.fraction) for time in times]):
        return True
    is_single = len({time.second for time in times}) == len(times)
    if is_single and len(times) > 1 and (is_one_video or times[0].is_date):
        return True
    if is_single and len(times) > 2:
        raise InputError(f'{files[0]} and {files[1]} may be two times of one video, or a frame each of two videos: '
                         'rename the images cam1_000001.jpg, cam1_000002.jpg, ...')
    steps = [(after.microseconds() - before.microseconds(), after.second != before.second)
             for before, after in pairwise(sorted(times, key=_Time.microseconds))]
    within, across = ([step for step, is_across in steps if is_across == wanted] for wanted in (False, True))
    return bool(within and across) and median(across) <= 2 * median(within)
