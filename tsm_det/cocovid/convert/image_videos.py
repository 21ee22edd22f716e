"""Group images into videos by their names."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import TypeVar

from tsm_det.cocovid.convert.frame_files import files_below
from tsm_det.cocovid.convert.frame_numbers import are_time_stamps
from tsm_det.cocovid.convert.name_numbers import split_numbers
from tsm_det.errors import InputError
from tsm_det.video.sources import IMAGE_SUFFIXES

T = TypeVar('T')


def images_below(root: Path) -> list[str]:
    """List the images of a folder, at any depth, relative to it; ignore hidden files.

    Raises InputError when there is none.
    """
    images = sorted(path.relative_to(root).as_posix() for path in files_below(root, *IMAGE_SUFFIXES))
    if not images:
        raise InputError(f'{root} holds no image ({", ".join(IMAGE_SUFFIXES)}): name the folder of the frames')
    return images


def group_images(files: list[str], source: str | os.PathLike,
                 notes: list[str]) -> list[tuple[str, dict[int, int]]]:
    """Return the name of each video, and the places of its images in ``files`` by frame id, in order.

    The number at the end of a file's name is its frame id. Files with the same folder and the same name before the
    number are a video. It is named after its folder, or after its files where there is no folder or the folder has
    several videos. Time stamps become places in order, which is added to ``notes``.

    Args:
        files: names of images, with slashes.
        source: the file or folder that lists them, for messages and as name of last resort.

    Raises InputError when a name has no number, or two names are the same frame.
    """
    groups: defaultdict[tuple[PurePosixPath, str], dict[int, int]] = defaultdict(dict)
    for place, (path, split) in enumerate(zip(map(PurePosixPath, files), split_numbers(files), strict=True)):
        if split is None:
            raise InputError(f'the image {path} of {source} has no number at the end of its name which gives the '
                             'order of frames: rename the files cam1_000001.jpg, cam1_000002.jpg, ...')
        prefix, number = split
        if (other := groups[path.parent, prefix].setdefault(number, place)) != place:
            raise InputError(f'the images {files[other]} and {path} of {source} are the same frame by their names: '
                             'rename one')
    names = name_groups(sorted(groups), Path(source).stem)
    return order_time_stamps({name: dict(sorted(groups[group].items())) for group, name in names.items()}, notes)


def name_groups(groups: list[tuple[PurePosixPath, str]], default: str) -> dict[tuple[PurePosixPath, str], str]:
    """Choose the shortest different names for the videos of each folder and prefix."""
    prefixes, names = Counter(parent for parent, _ in groups), {}
    for parent, prefix in groups:
        folder = [] if parent == PurePosixPath() else [str(parent)]
        own = [] if folder and prefixes[parent] == 1 else [prefix.rstrip('_-. ')]
        names[parent, prefix] = '/'.join(filter(None, folder + own)) or default
    count = Counter(names.values())
    return {group: name if count[name] == 1 else '/'.join(map(str, group)) for group, name in names.items()}


def order_time_stamps(videos: dict[str, dict[int, T]], notes: list[str]) -> list[tuple[str, dict[int, T]]]:
    """Number the frames of the videos whose numbers are time stamps in order; note this."""
    stamped = {name for name, frames in videos.items() if are_time_stamps(frames)}
    note_time_stamps(stamped, notes)
    return [(name, dict(enumerate(frames.values())) if name in stamped else frames) for name, frames in videos.items()]


def note_time_stamps(videos: Collection[str], notes: list[str]) -> None:
    """Note that the images of these videos, named by time stamps, are numbered in order; nothing without a video."""
    if videos:
        notes.append(f'the file names of {len(videos)} videos ({min(videos)}, ...) are time stamps: their frames are '
                     'numbered in order')
