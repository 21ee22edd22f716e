"""JSON and other files that appear whole or not at all, and whether a file or folder can be written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from tsm_det.errors import InputError


def write_json(content: dict, path: str | os.PathLike, indent: int | None = None) -> None:
    """Write a JSON file, and the folders above it.

    Raises:
        InputError: it cannot be written there.
    """
    write_text(json.dumps(content, indent=indent) + '\n', path)


def write_text(content: str, path: str | os.PathLike) -> None:
    """Write a text file in UTF-8, as ``write_json`` does."""
    write_bytes(content.encode(), path)


def write_bytes(content: bytes, path: str | os.PathLike) -> None:
    """Write a file, and the folders above it.

    Raises:
        InputError: it cannot be written there.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f'.{path.name}.', dir=path.parent) as workshop:
            Path(workshop, 'whole').write_bytes(content)
            os.replace(Path(workshop, 'whole'), path)
    except OSError as error:
        raise InputError(f'{path} cannot be written ({error}): name a file in a folder that can be') from error


def check_writable(path: str | os.PathLike) -> None:
    """Make the folders above a file that is to be written much later.

    Raises:
        InputError: it will not be possible to write it there.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f'.{path.name}.', dir=path.parent):
            if path.is_dir():
                raise IsADirectoryError('it is a folder')
    except OSError as error:
        raise InputError(f'{path} cannot be written ({error}): name a file in a folder that can be') from error


def check_folder(path: str | os.PathLike) -> None:
    """Make a folder, and those above it, that is to be written into.

    Raises:
        InputError: it is a file, or nothing can be written into it.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix='.', dir=path):
            pass
    except OSError as error:
        raise InputError(f'{path} cannot be written into ({error}): name a folder that can be') from error
