"""Which frame a number means: numbers in file names, and numbers in rows that count from 0 or from 1."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tsm_det.errors import InputError

# Motion is measured over as many frames; numbers that usually differ by more hardly count frames.
_LARGEST_STEP = 10


class RowNumbers(NamedTuple):
    """The frame numbers in the rows of a file, and the last frame id of its video, from 0."""

    source: Path
    frames: Collection[int]
    last_frame: int


def cvat_number(name: str) -> int | None:
    """Return the absolute number of a frame of a video that CVAT names ``frame_000007.png``; None for another name."""
    found = re.fullmatch(r'(.*[/\\])?frame_([0-9]{1,9})(\.\w+)?', name, re.IGNORECASE)
    return int(found[2]) if found else None


def are_time_stamps(numbers: Collection[int]) -> bool:
    """Whether the numbers in the file names of a video are times: of three or more, the usual step is above 10."""
    steps = [later - earlier for earlier, later in pairwise(sorted(numbers))]
    return len(steps) > 1 and median(steps) > _LARGEST_STEP


def find_first_frame(files: Sequence[RowNumbers], given: int | None, otherwise: int | None) -> int:
    """Return the number that all these files give to the first frame of a video: 0 or 1.

    A row of frame 0 shows that a file counts from 0. Without one, a last row one beyond the last frame, as counted
    from 0, shows that it counts from 1.

    Args:
        files: the rows of all files; they count alike.
        given: the answer of the user, who is always right; None without one.
        otherwise: the answer when no row tells; None where that would be a guess.

    Raises InputError when files contradict each other, or no row tells and ``otherwise`` is None.
    """
    if given is not None:
        return given
    from_0 = [file.source for file in files if 0 in file.frames]
    from_1 = [file.source for file in files
              if file.frames and 0 not in file.frames and max(file.frames) == file.last_frame + 1]
    if from_0 and from_1:
        raise InputError(f'{from_0[0]} has a row of frame 0 but {from_1[0]} ends one frame beyond its video if it '
                         'counts from 0 too: convert them separately, or give --first-frame 0 or 1 for all')
    if from_0 or from_1:
        return 0 if from_0 else 1
    if otherwise is None:
        source = next((file.source for file in files if file.frames), files[0].source)
        raise InputError(f'{source} has no row of frame 0 and none of the last frame, so its frames may count from 0 '
                         'or from 1: give --first-frame 0 or --first-frame 1')
    return otherwise
