"""Fixtures that several test modules share."""

import gc
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import fsspec
import numpy as np
import pytest
import yapf  # noqa: F401  # fills its cache before the workers of pytest-xdist start: two at once may fail
from hypothesis import settings
from mmengine.logging import MMLogger

TOOLS = Path(__file__).parents[1] / 'tools'

# How long an example takes says nothing about the code on a busy machine.
settings.register_profile('untimed', deadline=None)
settings.load_profile('untimed')


def pytest_sessionstart():
    # What a shell starts in the background ignores Ctrl-C, and so would the tools that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()  # until all tests are collected


def pytest_collection_finish():
    """Spare the garbage collector the thousands of tests and all modules: it would visit them again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope='session', autouse=True)
def default_malloc():
    """Let malloc return freed memory: a process that runs all tests and keeps it grows to gigabytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('tsm_det.malloc._set_mallopt', lambda _: None)
        yield


@pytest.fixture
def run(monkeypatch, capfd):
    """Run a tool in this process; gives its exit status, output and errors."""
    def run(line):
        tool, *arguments = shlex.split(line)
        MMLogger._instance_dict.clear()  # a logger of an earlier test writes to that test's closed output
        monkeypatch.setattr(sys, 'argv', [f'tools/{tool}.py', *arguments])
        monkeypatch.syspath_prepend(TOOLS)
        try:
            runpy.run_path(str(TOOLS / f'{tool}.py'), run_name='__main__')
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, *capfd.readouterr()
    return run


@pytest.fixture(scope='session')
def wheel(tmp_path_factory):
    """The wheel of the package, built from a copy."""
    folder, root = tmp_path_factory.mktemp('wheel'), TOOLS.parent
    for part in ('tsm_det', 'configs', 'tools', 'data/checkpoints'):
        shutil.copytree(root / part, folder / 'source' / part, ignore=shutil.ignore_patterns('__pycache__'))
    for part in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(root / part, folder / 'source')
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '--no-index',
                    '-w', str(folder), str(folder / 'source')], check=True, capture_output=True)
    path, = folder.glob('*.whl')
    return path


@pytest.fixture
def video_frame():
    """A picture with the number ``k`` (below 256) drawn in it as eight dark or bright bars."""
    def video_frame(k: int, height: int = 48, width: int = 64) -> np.ndarray:
        image = np.full((height, width, 3), 90, np.uint8)
        for bit in range(8):
            image[:height // 2, bit * width // 8:(bit + 1) * width // 8] = 235 if k >> bit & 1 else 20
        image[height // 2:, :width // 2] = 20, 30, 220  # red to the left
        return image
    return video_frame


@pytest.fixture
def video_number():
    """The number that is drawn in an upright picture."""
    def video_number(image: np.ndarray) -> int:
        bars = image[:image.shape[0] // 2].reshape(image.shape[0] // 2, 8, -1).mean(axis=(0, 2))
        return sum(int(bar > 128) << bit for bit, bar in enumerate(bars))
    return video_number


@pytest.fixture
def video_file(tmp_path, video_frame):
    """Writes frames 0 to n - 1: H.264 with B-frames and a key frame every 250 unless told otherwise."""
    def video_file(name='video.mp4', n=40, height=48, width=64, codec='libx264', pix_fmt='yuv420p', fps=25,
                   stamps=None, muxer=None, **options):
        path = tmp_path / name
        with av.open(str(path), 'w', options=muxer or {}) as container:
            stream = container.add_stream(codec, rate=fps, options={'g': '250', 'bf': '3', **options})
            stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
            for k in range(n):
                frame = av.VideoFrame.from_ndarray(video_frame(k, height, width), format='bgr24')
                frame.pts = stamps[k] if stamps else k
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path
    return video_file


@pytest.fixture
def memory(videos):
    """The folder ``videos`` of a test, in fsspec's memory."""
    files = fsspec.filesystem('memory')
    for video in videos.iterdir():
        files.pipe(f'/bucket/{video.name}', video.read_bytes())
    files.pipe('/bucket/notes.txt', b'no video')
    yield 'memory://bucket'
    files.rm('/bucket', recursive=True)
