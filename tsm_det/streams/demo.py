"""A first look without data of one's own: a synthetic video and the detections in it."""

from __future__ import annotations

import os
from pathlib import Path

from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.published import DEFAULT, published
from tsm_det.streams.detect_sources import detect_sources, open_sources
from tsm_det.streams.online_detector import OnlineDetector


def run_demo(folder: str | os.PathLike, seed: int = 0) -> Path:
    """Make a synthetic video in a folder, detect in it with the published detector, and draw the detections.

    Args:
        folder: gets ``synthvid/`` with the video, ``detections.mp4`` and ``detections.jsonl``.
        seed: of the video, at least 0.

    Returns:
        The drawn video.

    Raises InputError when the folder cannot be written, or has a ``synthvid/`` of another seed.
    """
    video, drawn = make_sample(folder, seed), Path(folder, 'detections.mp4')
    detector = OnlineDetector.from_config(*published(DEFAULT))
    detect_sources(detector, open_sources([str(video)]), str(drawn), str(drawn.with_suffix('.jsonl')))
    return drawn


def make_sample(folder: str | os.PathLike, seed: int = 0) -> Path:
    """Make a synthetic video in a folder, and return its path; arguments and errors as of :func:`run_demo`."""
    data = Path(folder, 'synthvid')
    make_synthetic_vid(data, seed, train_videos=1, val_videos=1, frames_per_video=100, size=(256, 256))
    return data / 'val' / '000.mp4'
