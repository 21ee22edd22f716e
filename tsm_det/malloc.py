"""Memory that a frame or a training step gives back, kept for the next one."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# Of mallopt(3): how much free memory at the end of the heap goes back to the system (-1: none), from which size on and
# how many blocks lie outside the heap, and how many heaps threads may have.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8
_KEEPING = {_TRIM_THRESHOLD: -1, _MMAP_MAX: 0, _ARENA_MAX: 1}
# Where glibc's own thresholds, which move, stay once a block of 32 MiB was freed.
_BY_DEFAULT = {_TRIM_THRESHOLD: 2**26, _MMAP_THRESHOLD: 2**25, _MMAP_MAX: 2**16}

_is_kept = False


def keep_freed_memory() -> None:
    """Have the C library keep what the process frees, where it is glibc; elsewhere nothing happens.

    By default glibc maps a large feature map anew every time, and the system clears its pages first.
    """
    global _is_kept
    _is_kept = True
    _tell_glibc(_KEEPING)


@contextmanager
def default_memory() -> Iterator[None]:
    """In the block glibc maps large blocks and gives free memory back as it does before it is told to keep it."""
    if _is_kept:
        _tell_glibc(_BY_DEFAULT)
    try:
        yield
    finally:
        if _is_kept:
            _tell_glibc(_KEEPING)


def _tell_glibc(options: dict[int, int]) -> None:
    if platform.libc_ver()[0] == 'glibc':
        libc = ctypes.CDLL(None)
        for option, value in options.items():
            libc.mallopt(option, value)
