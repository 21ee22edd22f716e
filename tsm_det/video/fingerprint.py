"""Recognise a recording again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256

_END = 65_536  # bytes


def fingerprint(files: Sequence[str | os.PathLike]) -> str:
    """Digest of the sizes of some files, and of the beginning and end of the first and the last one.

    Raises OSError when a file cannot be read.
    """
    digest = sha256()
    for file in files:
        digest.update(f'{os.path.getsize(file)} '.encode())
    for file in {files[0]: None, files[-1]: None}:
        with open(file, 'rb') as content:
            digest.update(content.read(_END))
            content.seek(max(0, os.path.getsize(file) - _END))
            digest.update(content.read(_END))
    return digest.hexdigest()
