"""What figures were measured on, and with what."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import mmcv
import mmdet
import mmengine
import torch

from tsm_det.version import __version__


def machine(device: str) -> dict[str, str | int]:
    """The machine, the threads of torch, and the versions of what the time is spent in."""
    return {
        'processor': _processor(), 'cores': os.cpu_count() or 0,
        'device': torch.cuda.get_device_name(device) if 'cuda' in device else 'cpu',
        'threads': torch.get_num_threads(), 'system': platform.platform(), 'python': platform.python_version(),
        'torch': torch.__version__, 'mmcv': mmcv.__version__, 'mmdet': mmdet.__version__,
        'mmengine': mmengine.__version__, 'tsm_det': __version__}


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Let torch and OpenCV work with so many threads; None leaves them as they are."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    try:
        if number is not None:
            torch.set_num_threads(number)
            cv2.setNumThreads(number)
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _processor() -> str:
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')),
                platform.processor() or platform.machine())
