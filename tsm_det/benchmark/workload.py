"""What a benchmark runs: its options, its frames, and equal limits for all arms."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from mmengine.config import Config

from tsm_det.config import dataset_config
from tsm_det.engines import check_engine
from tsm_det.errors import InputError
from tsm_det.files import check_writable
from tsm_det.models.loading import check_device
from tsm_det.video.sources import open_source

_COUNTS = ('frames', 'warmup', 'streams', 'proposals', 'detections', 'train', 'clip_length', 'threads')


@dataclass(frozen=True)
class BenchmarkOptions:
    """The options of ``tools/benchmark.py``, whose help explains them; None where an option was not given."""

    config: str
    baseline: str
    checkpoint: str = 'none'
    source: str | None = None
    size: tuple[int, int] | None = None
    frames: int = 50
    warmup: int = 5
    streams: int | None = None
    device: str = 'cpu'
    engine: str = 'eager'
    vs_mmdet: bool = False
    proposals: int = 300
    detections: int = 100
    score_thr: float = 0.0
    train: int | None = None
    clip_length: int = 8
    threads: int | None = None
    json: str | None = None
    plot: str | None = None
    report: str | None = None
    cfg_options: dict | None = None
    trust_checkpoint: bool = False

    def check(self) -> None:
        """Raise InputError when an option is wrong or a file cannot be written."""
        for name in _COUNTS:
            value, least = getattr(self, name), 0 if name == 'warmup' else 1
            if value is not None and value < least:
                raise InputError(f'--{name.replace("_", "-")} is {value} but must be at least {least}')
        if self.size is not None and min(self.size) < 1:
            raise InputError(f'--size is {self.size[0]} {self.size[1]} but height and width must be at least 1 px')
        if not 0 <= self.score_thr < 1:
            raise InputError(f'--score-thr is {self.score_thr} but must be at least 0 and below 1')
        if self.source is not None and self.size is not None:
            raise InputError('--source and --size were both given but a source has its own size: leave one of them out')
        check_engine(self.engine)
        check_device(self.device)
        if self.plot and Path(self.plot).suffix != '.png':
            raise InputError(f'--plot is {self.plot} but must be a PNG file: end its name in .png')
        for path in filter(None, (self.json, self.plot, self.report)):
            check_writable(path)

    def limit(self, config: Config) -> Config:
        """Copy a config with the limits in ``test_cfg``; single-stage detectors have no proposals to limit."""
        config = copy.deepcopy(config)
        test_cfg = config.model.test_cfg
        if 'rpn' in test_cfg:
            test_cfg.rpn.update(max_per_img=self.proposals, nms_pre=max(self.proposals, test_cfg.rpn.nms_pre))
        test_cfg.get('rcnn', test_cfg).update(max_per_img=self.detections, score_thr=self.score_thr)
        return config


def frames_of(source: str | None, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Yield frames ``(H, W, 3)`` BGR uint8 without end: of a source, starting over where it ends, or random ones.

    Random frames of ``size`` (H, W) are the same each time. Raises InputError when a source cannot be read.
    """
    if source is None:
        # Random frames differ from each other as much as frames can: a few are enough.
        yield from cycle(np.random.default_rng(0).integers(0, 256, (8, *size, 3), dtype=np.uint8))
    opened = open_source(source)
    while True:
        frame = None
        for frame in opened.frames():
            if frame is not None:
                yield frame.image
        if frame is None:
            raise InputError(f'{source} has no frame but at least one is needed: check the file')


def batches_of(frames: Iterator[np.ndarray], streams: int) -> Iterator[list[np.ndarray]]:
    """Yield one frame per stream: all streams show the same video, each one frame later than the one before."""
    window = deque(maxlen=streams)
    for frame in frames:
        window.append(frame)
        if len(window) == streams:
            yield list(window)


def source_size(config: Config) -> tuple[int, int]:
    """(H, W) that the test pipeline resizes to, so that random frames need no resizing; 256x320 if it does not."""
    for step in dataset_config(config).pipeline:
        for transform in step.get('transforms', ()):
            if transform['type'].endswith('Resize'):
                width, height = transform['scale']
                return height, width
    return 256, 320
