"""Detect truncated files, which decoders read without an error."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

_EBML, _SEGMENT = b'\x1a\x45\xdf\xa3', b'\x18\x53\x80\x67'
_JPEG_IMAGE, _JPEG_END = b'\xff\xda', b'\xff\xd9'


def is_cut_off(path: str | os.PathLike) -> bool:
    """Whether an mp4, mov, mkv, webm, avi, jpg or webp file is shorter than its headers state; False for other formats.

    Data appended behind the end (as phones do) and unknown lengths (recordings that were never closed) pass.

    Raises:
        OSError: the file cannot be read.
    """
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        kind = file.read(4)
        file.seek(0)
        if kind.startswith(b'\xff\xd8\xff'):
            return not _has_image_end(file)
        if kind == b'RIFF':
            return struct.unpack('<4sI', file.read(8).ljust(8, b'\0'))[1] + 8 > size
        if kind == _EBML:
            return _segment_end(file) > size
        return _ends_inside_box(file, size)


def _ends_inside_box(file: BinaryIO, size: int) -> bool:
    """Whether the last box of an mp4 or mov is truncated (ISO/IEC 14496-12, 4.2)."""
    place, kind = 0, b''
    while place < size:
        file.seek(place)
        length, kind, long_length = struct.unpack('>I4sQ', file.read(16).ljust(16, b'\0'))
        length, header = (long_length, 16) if length == 1 else (length, 8)
        if length < header:  # 0: the box extends to the end of the file
            return False
        place += length
    return place > size and kind in (b'moov', b'moof', b'mdat')


def _segment_end(file: BinaryIO) -> int:
    """End of the segment of a Matroska file; 0 if not stated (RFC 8794, RFC 9559)."""
    end = 0
    for element in (_EBML, _SEGMENT):
        file.seek(end)
        if file.read(4) != element:
            return 0
        first = file.read(1) or b'\0'
        width = 9 - first[0].bit_length()  # bytes of the length: 1 + leading zero bits
        length = int.from_bytes(first + file.read(width - 1), 'big') & ~(1 << 7 * width)
        if width > 8 or length == (1 << 7 * width) - 1:
            return 0
        end = file.tell() + length
    return end


def _has_image_end(file: BinaryIO) -> bool:
    """Whether an end marker follows the first scan of a JPEG; one before it belongs to the thumbnail in the headers."""
    content = file.read()
    place = 2
    while content[place:place + 2] != _JPEG_IMAGE:
        if content[place:place + 1] != b'\xff':
            return False
        is_filler = content[place + 1:place + 2] == b'\xff'
        place += 1 if is_filler else 2 + int.from_bytes(content[place + 2:place + 4], 'big')
    return content.find(_JPEG_END, place) >= 0
