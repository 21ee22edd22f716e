"""ffmpeg serves a video while it is being drawn, by the command of docs/detect.md."""

import re
import shlex
import shutil
import socket
import subprocess
import threading
from itertools import pairwise
from pathlib import Path

import av
import pytest

from tests.waiting import eventually
from tsm_det.video.sinks import VideoSink

PAGE = Path(__file__).parents[2] / 'docs' / 'detect.md'
pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not all(map(shutil.which, ('ffmpeg', 'tail'))), reason='ffmpeg or tail is not installed')]


@pytest.fixture
def being_drawn(video_frame, tmp_path):
    """A video of numbered frames that a thread goes on writing."""
    ended = threading.Event()

    def draw():
        with VideoSink(tmp_path / 'drawn.mp4', 25) as sink:
            number = 0
            while not ended.wait(0.01):
                sink.write(video_frame(number % 256), number / 25)
                number += 1

    thread = threading.Thread(target=draw)
    thread.start()
    yield tmp_path / 'drawn.part.mp4'
    ended.set()
    thread.join()


def test_every_frame_of_a_growing_video_arrives_in_order(being_drawn, video_number):
    command, = re.findall(r'^tail .*-listen 1.*$', PAGE.read_text(), re.MULTILINE)
    with socket.create_server(('127.0.0.1', 0)) as free:
        port = free.getsockname()[1]
    tail, ffmpeg = (shlex.split(part.replace('drawn.part.mp4', str(being_drawn)).replace('8090', str(port)))
                    for part in command.partition('#')[0].split('|'))
    eventually(being_drawn.is_file)
    with (subprocess.Popen(tail, stdout=subprocess.PIPE) as source,
          subprocess.Popen(ffmpeg, stdin=source.stdout, stderr=subprocess.DEVNULL) as server):
        try:
            numbers = [video_number(frame.to_ndarray(format='bgr24')) for frame in frames_of(port, 60)]
        finally:
            server.kill()
            source.kill()
    assert [(after - before) % 256 for before, after in pairwise(numbers)] == [1] * 59


def frames_of(port, count):
    """The first frames at an address, as soon as there is a server."""
    opened = []

    def connect():
        try:
            opened.append(av.open(f'http://127.0.0.1:{port}', timeout=60))
        except av.FFmpegError:
            return False
        return True

    eventually(connect)
    with opened[0] as video:
        return [frame for frame, _ in zip(video.decode(video=0), range(count), strict=False)]
