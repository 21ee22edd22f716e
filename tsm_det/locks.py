"""One run per output: a second one is refused while the first runs, and not after it was killed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tsm_det.errors import InputError
from tsm_det.files import check_writable, writing

_held: set[int] = set()  # open lock files of this process


@contextmanager
def locked(*paths: str | os.PathLike | None) -> Iterator[None]:
    """Context manager: reserves files and existing folders for this run; None is ignored.

    The lock is a hidden file in the folder, or beside the file, and is gone at the end. The system releases it when the
    process dies.

    Raises InputError when another run holds one of them, or it could not be written.
    """
    with ExitStack() as stack:
        for path in sorted({Path(os.path.realpath(path)) for path in paths if path is not None}):
            if path.is_file() or path.is_dir() or not path.exists():  # pipes and terminals can be shared
                stack.enter_context(_locked(path))
        yield


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    file = path / '.lock' if path.is_dir() else path.with_name(f'.{path.name}.lock')
    if not path.is_dir():
        check_writable(path)
    with writing(path):
        handle = _acquire(file)
    if handle is None:
        raise InputError(f'another run writes into {path}: wait for its end, or name another place')
    _held.add(handle)
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(file)
        _held.discard(handle)
        os.close(handle)


def _acquire(file: Path) -> int | None:
    """Open and lock a file, unless another process holds it."""
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.exists(file) and os.path.samestat(os.fstat(handle), os.stat(file)):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        os.close(handle)  # its last owner has just removed it: make another


def _release_in_child() -> None:
    """Close what a fork has copied: a worker process that outlives this one would keep the lock."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_release_in_child)
