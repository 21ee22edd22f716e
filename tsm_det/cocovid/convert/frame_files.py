"""Frames in files: of a video file, of a folder of images; and numbers in text files."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from PIL import Image

from tsm_det.cocovid.read import stays_inside
from tsm_det.errors import InputError
from tsm_det.video.picture_count import check_single
from tsm_det.video.sources import IMAGE_SUFFIXES
from tsm_det.video.video_file import VideoFile

_ORIENTATION = 0x0112  # EXIF tag; from value 5 on, width and height are exchanged


class Frame(NamedTuple):
    """A frame of a video: ``size`` is (H, W) as displayed; without ``frame_in_file`` the file is an image."""

    frame_id: int
    file_name: str
    size: tuple[int, int]
    frame_in_file: int | None = None


def video_frames(path: Path, file_name: str) -> list[Frame]:
    """List all frames of a video file; decode one.

    Raises InputError when it cannot be read.
    """
    video = VideoFile(path)
    size = video.read(0).shape[:2]
    return [Frame(k, file_name, size, k) for k in range(len(video))]


def images_of(folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> list[Path]:
    """List the image files of a folder by name; ignore hidden files and other kinds of files.

    Raises InputError when the folder does not exist or holds no image.
    """
    if not folder.is_dir():
        raise InputError(f'{folder} is not a folder: name one that holds the frames as images')
    images = sorted(name for name in os.listdir(folder)
                    if name.lower().endswith(suffixes) and not name.startswith('.'))
    if not images:
        raise InputError(f'{folder} holds no image ({", ".join(suffixes)}): put the frames there')
    return [folder / name for name in images]


def image_size(path: Path) -> tuple[int, int]:
    """Return the size (H, W) of an image as displayed, from its header.

    Raises InputError when the file is missing, not an image, or several.
    """
    check_single(path)
    try:
        with Image.open(path) as image:
            # Asking a PNG file without EXIF for its orientation would decode all of it. OpenCV turns no WebP.
            turned = image.format != 'WEBP' and 'exif' in image.info and image.getexif().get(_ORIENTATION, 1) >= 5
            return image.size if turned else image.size[::-1]
    except (OSError, ValueError, SyntaxError) as error:
        what = 'is missing' if isinstance(error, FileNotFoundError) else 'cannot be read as an image'
        raise InputError(f'{path} {what}: fetch it again or check the folder') from error


def check_size(path: Path, stated: tuple[int, int], where: str) -> None:
    """Check that an image has the size (H, W) that ``where`` states.

    Raises InputError when it has another size or cannot be read.
    """
    if (size := image_size(path)) != tuple(stated):
        raise InputError(f'{path} is {size[1]}x{size[0]} px but {where} states {stated[1]}x{stated[0]}: the boxes '
                         'would be misplaced, so use the images that were annotated')


def files_below(folder: Path, *suffixes: str) -> list[Path]:
    """List the files with one of the suffixes at any depth, in order; ignore hidden files.

    Folders behind links count once, under their own name where they have one below ``folder``.
    """
    found: list[Path] = []
    seen: set[str] = set()
    roots = [str(folder)]
    while roots:
        links = []
        for place, folders, names in itertools.chain.from_iterable(map(os.walk, roots)):
            if (real := os.path.realpath(place)) in seen:
                folders.clear()
                continue
            seen.add(real)
            links += [path for name in folders if os.path.islink(path := os.path.join(place, name))]
            found += [Path(place, name) for name in names if name.lower().endswith(suffixes) and name[0] != '.']
        roots = sorted(links)
    return sorted(found)


def annotation_files(source: Path, suffix: str) -> list[Path]:
    """Return ``source`` if it is a file, else the files of the folder, at any depth, with a suffix.

    Raises InputError when there is none.
    """
    if source.is_file():
        return [source]
    files = files_below(source, suffix)
    if not files:
        raise InputError(f'{source} holds no {suffix[1:].upper()} file: name one, or a folder with such files')
    return files


def inner_name(name: str, place: str) -> str:
    """Return the file name of an annotation file with slashes between folders; backslashes count as slashes.

    Args:
        name: relative to some folder.
        place: where the name is written, for the message.

    Raises InputError when the name is empty or leads out of the folder.
    """
    if not name.strip() or not stays_inside(name):
        raise InputError(f'{place} names the file {name!r} but a name inside the folder of the images is required: '
                         'remove the drive, the leading slash or "..", or export the file again')
    return PurePosixPath(name.strip().replace('\\', '/')).as_posix()


def parse_number(text: str | None, what: str, place: str, kind: str = 'number') -> float:
    """Return the number in a field; ``what`` names the field and ``place`` says where it is, for the message.

    Raises InputError when it is missing or not a number.
    """
    try:
        return float(text or '')
    except ValueError as error:
        raise _wrong_field(text, what, place, kind) from error


def parse_whole(text: str | None, what: str, place: str) -> int:
    """Return the whole number in a field, as :func:`parse_number` does; it may be written ``3.0``."""
    number = parse_number(text, what, place, 'whole number')
    if not number.is_integer():
        raise _wrong_field(text, what, place, 'whole number')
    return int(number)


def _wrong_field(text: str | None, what: str, place: str, kind: str) -> InputError:
    return InputError(f'{place}: {what} is {text!r} but must be a {kind}: fix it, or export the file again')


def parse_track(given: object) -> str | None:
    """Return a track id as text; None, which will be linked, for none or a negative number."""
    text = '' if given is None else str(given).strip()
    return None if not text or re.fullmatch(r'-\d+(\.0*)?', text) else text
