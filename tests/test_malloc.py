"""Freed feature maps are reused once an engine asked for it."""

import platform
import subprocess
import sys

import pytest

# Count new pages (minor faults) while ten maps are allocated, each freed before the next.
_PROGRAM = """
import resource, sys, torch
from tests.tiny import build, tiny_model_config
from tsm_det.engines import with_engine
from tsm_det.malloc import default_memory

def new_pages(calls, numbers=10_000_000):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(calls):
        torch.zeros(numbers)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with_engine(build(tiny_model_config()), sys.argv[1])
new_pages(1)
usual = new_pages(10)
with default_memory():
    inside = new_pages(10, 20_000_000)  # larger than the freed ones
new_pages(1)
print(usual, inside, new_pages(10))
"""

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != 'glibc', reason='needs glibc')


def new_pages(engine):
    """New pages after choosing the engine, inside ``default_memory`` with larger maps, and after it."""
    ended = subprocess.run([sys.executable, '-c', _PROGRAM, engine], capture_output=True, text=True, check=True)
    return [int(word) for word in ended.stdout.splitlines()[-1].split()]


def test_later_maps_reuse_freed_pages():
    kept, inside, kept_again = new_pages('fast')
    assert max(kept, kept_again) < 0.3 * inside


def test_eager_keeps_the_default_malloc():
    before, inside, after = new_pages('eager')
    assert min(before, after) > 0.3 * inside
