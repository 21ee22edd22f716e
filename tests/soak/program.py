"""tools/detect_video.py as a process of its own, with a tiny network."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tests.tiny import TINY, tiny_like_the_tools
from tsm_det import config_path

ROOT = Path(__file__).parents[2]
LIMIT_S = 120


def save_checkpoint(path: Path) -> Path:
    classes = ('disc', 'square', 'triangle', 'star')
    torch.save({'state_dict': tiny_like_the_tools().state_dict(), 'meta': {'dataset_meta': {'classes': classes}}}, path)
    return path


class Program:
    """A run of the tool in a process; its errors go to a file, so that no pipe fills."""

    def __init__(self, checkpoint: Path, *arguments: object) -> None:
        self.log = checkpoint.with_suffix('.log')
        command = [sys.executable, '-W', 'ignore', 'tools/detect_video.py', config_path('tsm_faster_rcnn_r18_synthvid'),
                   checkpoint, *arguments, '--score-thr', 0, '--cfg-options', *TINY.split()]
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                [str(part) for part in command], cwd=ROOT, stdout=log, stderr=log,
                env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)})

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Until it is so; fails when the process ends before, or it takes too long."""
        deadline = time.monotonic() + LIMIT_S
        while not is_so():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.005)

    def stop(self, signal: int) -> float:
        """Send a signal; gives the seconds until the process has ended."""
        begin = time.monotonic()
        self.process.send_signal(signal)
        self.end()
        return time.monotonic() - begin

    def end(self) -> int:
        """The exit status, once it has ended."""
        try:
            return self.process.wait(LIMIT_S)
        finally:
            self.process.kill()

    def said(self) -> str:
        return self.log.read_text()


def num_lines(path: Path) -> int:
    return path.read_bytes().count(b'\n') if path.is_file() else 0
