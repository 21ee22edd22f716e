"""Detect image files that hold several pictures, of which image readers give only the first."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from tsm_det.errors import InputError

# Tag of a TIFF directory, and its bits for a smaller copy and for a mask.
_NEW_SUBFILE_TYPE, _NO_PAGE = 254, 1 | 4


def check_single(path: str | os.PathLike) -> None:
    """Raise InputError when a file is an animated PNG or WebP or a TIFF of several pages; ignore other problems."""
    try:
        with open(path, 'rb') as file:
            count = _count(file)
    except (OSError, struct.error):  # missing or damaged, which decoding reports
        return
    if count > 1:
        raise InputError(f'{path} holds {count} pictures but an image file must hold one: convert it to a video, or to '
                         'one file per picture')


def _count(file: BinaryIO) -> int:
    head = file.read(16)
    if head.startswith(b'\x89PNG\r\n\x1a\n'):
        return _count_png(file)
    if head.startswith(b'RIFF') and head[8:] == b'WEBPVP8X':
        return _count_webp(file)
    if head[:4] in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'):
        return _count_tiff(file, '<' if head.startswith(b'I') else '>', is_big=b'+' in head[:4])
    return 1


def _count_png(file: BinaryIO) -> int:
    """The number that the animation header states, which stands before the first picture."""
    file.seek(8)
    while True:
        length, kind, count = struct.unpack('>I4sI', file.read(12))
        if kind in (b'acTL', b'IDAT', b'IEND'):
            return count if kind == b'acTL' else 1
        file.seek(length, os.SEEK_CUR)  # from behind 4 of the bytes to behind the checksum


def _count_webp(file: BinaryIO) -> int:
    """The number of ANMF chunks."""
    file.seek(12)
    count = 0
    while len(head := file.read(8)) == 8:
        kind, length = struct.unpack('<4sI', head)
        count += kind == b'ANMF'
        file.seek(length + length % 2, os.SEEK_CUR)
    return count


def _count_tiff(file: BinaryIO, order: str, is_big: bool) -> int:
    """The number of directories that are a page, not a thumbnail or a mask."""
    offset, number, entry = ('Q', 'Q', 'HHQQ') if is_big else ('I', 'H', 'HHII')
    file.seek(8 if is_big else 4)
    count, seen = 0, set()
    while (place := _unpack(file, order + offset)[0]) and place not in seen:
        seen.add(place)
        file.seek(place)
        tags = {tag: value for tag, _, _, value in (
            _unpack(file, order + entry) for _ in range(_unpack(file, order + number)[0]))}
        count += not tags.get(_NEW_SUBFILE_TYPE, 0) & _NO_PAGE
    return count


def _unpack(file: BinaryIO, form: str) -> tuple:
    return struct.unpack(form, file.read(struct.calcsize(form)))
