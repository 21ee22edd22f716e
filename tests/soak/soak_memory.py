"""Thousands of frames, one by one: memory stays as it is after warm-up, and so does what is remembered."""

import gc
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose

from tests.tiny import tiny_detector
from tsm_det import OnlineDetector, config_path
from tsm_det.engines import with_engine
from tsm_det.streams.frame_preparation import image_pipeline

WARM_UP, CAMERAS = 1000, 3


def resident_mb() -> float:
    gc.collect()
    return int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize() / 2**20


def tiny_online_detector(engine: str = 'eager') -> OnlineDetector:
    config = Config.fromfile(config_path('tsm_faster_rcnn_r18_synthvid'))
    steps = image_pipeline(config.test_dataloader.dataset.pipeline)
    next(step for step in steps[0]['transforms'] if step['type'].endswith('Resize'))['scale'] = (64, 64)
    model = tiny_detector()
    model.dataset_meta = {'classes': ('a', 'b', 'c', 'd')}
    return OnlineDetector(with_engine(model, engine), Compose(steps), capacity=CAMERAS)


@pytest.mark.parametrize(('engine', 'frames'), [
    ('eager', 10_000), ('fast', 3000), ('fast-bf16', 3000), ('compiled', 3000)])
def test_memory_is_flat(engine, frames):
    """Frames of one stream, joined now and then by streams that come, push the oldest out, and never return."""
    detector = tiny_online_detector(engine)
    pictures = np.random.default_rng(0).integers(0, 256, (64, 64, 64, 3), dtype=np.uint8)
    marks, bytes_held, begin = {}, set(), time.perf_counter()
    for k in range(frames):
        detector.detect_batch([pictures[k % 64]], ['camera'], [k])
        if k % 50 == 0:
            detector.detect_batch([pictures[k % 64]], [f'visitor {k}'])
        if k >= WARM_UP and k % 1000 == 0:
            bytes_held.add(detector.bank.state_bytes())
        if (k + 1) % 1000 == 0:
            marks[k + 1] = resident_mb()
    seconds = time.perf_counter() - begin
    print(f'\n{engine}: {frames} frames in {seconds:.0f} s; state {bytes_held} bytes; resident MiB after so many:')
    print('  '.join(f'{k}: {mb:.1f}' for k, mb in marks.items()))
    after = [mb for k, mb in marks.items() if k >= WARM_UP]
    assert max(after) < 1.02 * after[0]
    assert min(after) > 0.98 * after[0]
    assert len(bytes_held) == 1
