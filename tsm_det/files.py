"""Write files atomically, and check early that a path can be written."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tsm_det.errors import InputError


@contextmanager
def write_atomically(path: str | os.PathLike, *errors: type[Exception]) -> Iterator[Path]:
    """Give a temporary path in the same folder that replaces ``path`` when the block succeeds.

    Missing parent folders are created. When the block fails, ``path`` keeps its old content. A link stays one: the file
    that it leads to is replaced.

    Args:
        path: file to write; or a new folder.
        errors: exceptions of the block that also mean a failed write.

    Raises:
        InputError: ``path`` cannot be written, or is a device or a pipe.
    """
    with writing(path, *errors):
        path = Path(os.path.realpath(path))
        _refuse_device(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f'.{path.name}.', dir=path.parent) as folder:
            yield Path(folder, path.name)
            os.replace(Path(folder, path.name), path)


@contextmanager
def writing(path: str | os.PathLike, *errors: type[Exception]) -> Iterator[None]:
    """Turn an OSError of the block, or one of ``errors``, into an InputError that names ``path``."""
    try:
        yield
    except (OSError, *errors) as error:
        raise InputError(f'{path} cannot be written ({getattr(error, "strerror", None) or error}): '
                         'name a place that has room and write permission') from error


@contextmanager
def needing_room(path: str | os.PathLike) -> Iterator[None]:
    """Turn a full disk, whoever notices it, into an InputError that names ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(f'{path} has no room left ({error.strerror}): make room, then run it again') from error


def write_bytes(content: bytes, path: str | os.PathLike) -> None:
    """Write a file atomically; raise InputError when it cannot be written."""
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


def write_text(content: str, path: str | os.PathLike) -> None:
    """Write a UTF-8 text file, as :func:`write_bytes` does."""
    write_bytes(content.encode(), path)


def write_json(content: dict, path: str | os.PathLike, indent: int | None = None) -> None:
    """Write a JSON file, as :func:`write_bytes` does."""
    write_text(json.dumps(content, indent=indent) + '\n', path)


def check_writable(path: str | os.PathLike) -> None:
    """Create the parent folders of a file to be written later; raise InputError when it could not be written."""
    with writing(path):
        if os.path.isdir(path):
            raise IsADirectoryError('it is a folder')
        _refuse_device(Path(path))
        _create_folder(Path(path).parent)


def check_folder(path: str | os.PathLike) -> None:
    """Create a folder to write into later; raise InputError when nothing could be written there."""
    with writing(path):
        _create_folder(Path(path))


def refuse_overwriting(outputs: Iterable[str | os.PathLike], inputs: Iterable[str | os.PathLike]) -> None:
    """Raise InputError when an output is an input or another output, under whatever name or link.

    A file in an input folder, such as a label file, is an input too; JSON files there may be outputs of an earlier run.
    """
    taken, folders = {}, []
    for path in map(Path, inputs):
        if path.is_dir():
            folders.append(path.resolve())
        else:
            taken[_identity(path)] = 'an input'
    for path in map(Path, outputs):
        is_in_folder = path.is_file() and path.suffix != '.json' and not set(path.resolve().parents).isdisjoint(folders)
        if what := 'in an input folder' if is_in_folder else taken.get(_identity(path)):
            raise InputError(f'{path} is {what} and would be overwritten: name another file')
        if not path.is_dir():
            taken[_identity(path)] = 'another output'


def _identity(path: Path) -> tuple[int, int] | Path:
    """Device and inode, which all links to a file share; the path of a file that does not exist."""
    if not path.exists():
        return path.resolve()
    status = path.stat()
    return status.st_dev, status.st_ino


def _refuse_device(path: Path) -> None:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError('it is a device or a pipe, which a file would replace')


def _create_folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix='.', dir=path):
        pass
