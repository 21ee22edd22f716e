"""How well decoding, detecting and writing overlap, and what drawing costs: figures, not laws."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from tsm_det.streams.detect_sources import detect_sources
from tsm_det.video import outputs
from tsm_det.video.cameras import StreamFrame
from tsm_det.video.drawing import draw_detections

FRAMES, IMAGE = 150, np.zeros((8, 8, 3), np.uint8)


class SleepySource:
    name, fps, num_frames, files, is_live = 'sleepy', 10.0, FRAMES, (), False

    def __init__(self, seconds):
        self.seconds = seconds

    def frames(self, start=0, stride=1):
        for k in range(FRAMES):
            time.sleep(self.seconds)
            yield StreamFrame(self.name, k, k / 10, IMAGE)


@pytest.mark.parametrize('stages', [(0.02, 0.02, 0.02), (0.01, 0.03, 0.01), (0.03, 0.01, 0.02), (0.01, 0.02, 0.03)])
def test_a_run_takes_about_as_long_as_its_slowest_stage(monkeypatch, tmp_path, stages):
    decode, detect, write = stages
    nothing = SimpleNamespace(pred_instances=SimpleNamespace(cpu=lambda: None), metainfo={'reset': None})
    detector = SimpleNamespace(
        classes=(), bank=SimpleNamespace(held=list), detect_batch=lambda *_: time.sleep(detect) or [nothing])
    monkeypatch.setattr('tsm_det.streams.detect_sources.detections_of', lambda *_: [])
    monkeypatch.setattr(outputs.Outputs, 'write', lambda *_: time.sleep(write))
    begin = time.perf_counter()
    assert detect_sources(detector, [SleepySource(decode)]) == FRAMES
    ratio = (time.perf_counter() - begin) / (FRAMES * max(stages))
    print(f'\nstages of {stages} s: {ratio:.3f} of the slowest, one after the other {sum(stages) / max(stages):.2f}')
    assert ratio < 1.10


def test_drawing_20_boxes_into_a_720p_frame():
    image = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    boxes = [{'bbox': [37. * k, 19. * k, 37. * k + 200, 19. * k + 150], 'score': 0.5, 'label': k, 'class': 'airplane'}
             for k in range(20)]
    times_ms = []
    for _ in range(100):
        begin = time.perf_counter()
        draw_detections(image, boxes)
        times_ms.append(1e3 * (time.perf_counter() - begin))
    print(f'\ndrawing 20 boxes into 720p: median {np.median(times_ms):.2f} ms')
    assert np.median(times_ms) < 5
