"""Memory that a frame gives back, kept for the next one."""

from __future__ import annotations

import ctypes
import platform

# Of mallopt(3): how much free memory at the end of the heap goes back to the system, how many blocks may lie outside
# the heap, and how many heaps threads may have.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
    """Have the C library keep what the process frees, up to 2 GiB, where it is glibc; elsewhere nothing happens.

    By default glibc maps a large feature map anew for every frame, and the system clears its pages first.
    """
    if platform.libc_ver()[0] == 'glibc':
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_ARENA_MAX, 1)
