"""The memory of a frame serves the next one."""

import platform
import subprocess
import sys

import pytest

# New pages that the system had to give for maps of 40 MB, each freed before the next comes.
_PROGRAM = """
import resource, sys, torch
from tests.tiny import build, tiny_model_config
from tsm_det.engines import with_engine
with_engine(build(tiny_model_config()), sys.argv[1])
torch.zeros(10_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.zeros(10_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def new_pages(engine):
    ended = subprocess.run([sys.executable, '-c', _PROGRAM, engine], capture_output=True, text=True, check=True)
    return int(ended.stdout.splitlines()[-1])


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='only glibc can be told to keep what is freed')
def test_maps_of_later_frames_take_hardly_a_new_page():
    assert new_pages('fast') < 0.3 * new_pages('eager')
