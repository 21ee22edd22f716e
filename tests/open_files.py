"""The files that this process has open, on systems with /proc."""

import os
from contextlib import suppress

import pytest

needs_proc = pytest.mark.skipif(not os.path.exists('/proc/self/fd'), reason='needs /proc')


def open_files():
    """Return their paths; what another thread closes meanwhile is left out."""
    paths = set()
    for name in os.listdir('/proc/self/fd'):
        with suppress(FileNotFoundError):
            paths.add(os.readlink(f'/proc/self/fd/{name}'))
    return paths
