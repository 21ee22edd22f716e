"""The memory of a frame serves the next one."""

import platform
import subprocess
import sys

import pytest

# New pages that the system had to give for ten maps, each freed before the next comes.
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
    inside = new_pages(10, 20_000_000)  # more than was freed before
new_pages(1)
print(usual, inside, new_pages(10))
"""

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != 'glibc', reason='only glibc can be told to keep what is freed')


def new_pages(engine):
    """After the engine was chosen; in larger maps with the default memory; after that."""
    ended = subprocess.run([sys.executable, '-c', _PROGRAM, engine], capture_output=True, text=True, check=True)
    return [int(word) for word in ended.stdout.splitlines()[-1].split()]


def test_maps_of_later_frames_take_hardly_a_new_page():
    kept, inside, kept_again = new_pages('fast')
    assert max(kept, kept_again) < 0.3 * inside


def test_nothing_is_kept_before_an_engine_asked_for_it():
    before, inside, after = new_pages('eager')
    assert min(before, after) > 0.3 * inside
