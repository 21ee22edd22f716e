"""Notice damaged files: a seal, which is a checksum in a zip file's comment, or what else a file tells of itself."""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from pathlib import Path

from tsm_det.errors import InputError

_MARK = b'tsm_det sha256 '
_SEAL = len(_MARK) + 64
# NAME-HASH.pth, as mmdet, torchvision and tools/publish.py name weights; a date is no hash.
_HASH_IN_NAME = re.compile(r'-(?!(?:19|20)\d{6}\.)([0-9a-f]{8})\.pth$')


def seal(content: bytes) -> bytes:
    """Put a checksum of all bytes into the comment of a zip file, such as ``torch.save`` writes; readers ignore it."""
    body = content[:-2] + _SEAL.to_bytes(2, 'little')
    return body + _MARK + hashlib.sha256(body).hexdigest().encode()


def check_intact(path: str | os.PathLike, sealed: bool = False) -> None:
    """Raise InputError when a file is not what was written.

    A sealed file must have its checksum, and a file NAME-HASH.pth its hash. Other zip files are checked by the
    checksums of their parts, which cover all but their headers.

    Args:
        path: an existing file.
        sealed: without a seal the file counts as damaged.
    """
    size = os.path.getsize(path)
    with open(path, 'rb') as file:
        is_zip = file.read(2) == b'PK'
        file.seek(max(0, size - _SEAL))
        end = file.read()
        if sealed or end.startswith(_MARK):
            if end != _MARK + _digest(file, max(0, size - _SEAL)).encode():
                raise _damaged(path, 'its checksum differs')
            return
        named = _HASH_IN_NAME.search(Path(path).name)
        if named and not _digest(file, size).startswith(named[1]):
            raise _damaged(path, f'its hash is not {named[1]}, as its name says')
    if is_zip and (reason := _damage_of_zip(path, end)):
        raise _damaged(path, reason)


def _digest(file, size: int) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while size:
        block = file.read(min(size, 1 << 20))
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


def _damage_of_zip(path: str | os.PathLike, end: bytes) -> str | None:
    if not (end[-22:].startswith(b'PK\5\6') and end.endswith(b'\0\0')):
        return 'its end is missing'  # cut, or behind a seal that is no longer one
    try:
        with zipfile.ZipFile(path) as parts:
            part = parts.testzip()
    except Exception as error:  # damaged headers raise nearly anything
        return ' '.join(f'{type(error).__name__} {error}'.split())
    return part and f'the checksum of {part} differs'


def _damaged(path: str | os.PathLike, reason: str) -> InputError:
    return InputError(f'{path} is damaged ({reason}): take another copy of the file')
