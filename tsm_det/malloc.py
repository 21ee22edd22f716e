"""Tune glibc malloc to reuse freed feature maps."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

# mallopt(3): free memory at the end of the heap that is returned to the system (-1: none), size and number of blocks
# outside the heap, and number of heaps.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8
_KEEPING = {_TRIM_THRESHOLD: -1, _MMAP_MAX: 0, _ARENA_MAX: 1}
# Where glibc's dynamic thresholds settle once a block of 32 MiB was freed.
_BY_DEFAULT = {_TRIM_THRESHOLD: 2**26, _MMAP_THRESHOLD: 2**25, _MMAP_MAX: 2**16}

_is_kept = False


def keep_freed_memory() -> None:
    """Make glibc keep freed memory; other C libraries are left alone.

    By default glibc maps new pages for every large feature map, and the system clears them first.
    """
    global _is_kept
    _is_kept = True
    _set_mallopt(_KEEPING)


@contextmanager
def default_memory() -> Iterator[None]:
    """Context manager: restores glibc's default settings, and on exit those of ``keep_freed_memory``."""
    if _is_kept:
        _set_mallopt(_BY_DEFAULT)
    try:
        yield
    finally:
        if _is_kept:
            _set_mallopt(_KEEPING)


def _set_mallopt(options: dict[int, int]) -> None:
    if platform.libc_ver()[0] == 'glibc':
        libc = ctypes.CDLL(None)
        for option, value in options.items():
            libc.mallopt(option, value)
