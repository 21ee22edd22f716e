"""NaN and infinity are reported: the stream starts over with the reason, the others continue."""

import json
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from tsm_det.streams.detect_sources import detect_sources, open_sources

BAD = pytest.mark.parametrize('bad', [float('nan'), float('inf')])


@contextmanager
def poisoned(detector, row, bad):
    """Replace one row of the first convolution's output."""
    def poison(_module, _inputs, features):
        features = features.clone()
        features[row] = bad
        return features
    hook = detector.model.backbone.conv1.register_forward_hook(poison)
    try:
        yield
    finally:
        hook.remove()


def run(detector, frames, frame_id, *streams):
    samples = detector.detect_batch([frames[frame_id]] * len(streams), streams, [frame_id] * len(streams))
    return [sample.metainfo['reset'] for sample in samples], [sample.pred_instances for sample in samples]


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (5, 128, 128, 3), dtype=np.uint8)


def assert_alike(one, other):
    assert len(one) == len(other) > 0
    torch.testing.assert_close(one.bboxes, other.bboxes, rtol=0, atol=1e-3)


@BAD
def test_a_stream_with_a_nonfinite_frame_starts_over_and_the_other_continues(make_detector, frames, bad):
    detector, healthy = make_detector(), make_detector()
    for k in range(2):
        run(detector, frames, k, 'ill', 'well')
        run(healthy, frames, k, 'well')
    with poisoned(detector, 0, bad):
        resets, found = run(detector, frames, 2, 'ill', 'well')
    assert resets == [None, None]
    assert found[0].bboxes.isfinite().all() and found[0].scores.isfinite().all()
    assert_alike(found[1], run(healthy, frames, 2, 'well')[1][0])
    resets, found = run(detector, frames, 3, 'ill', 'well')
    assert resets == ['nonfinite', None]
    assert_alike(found[0], run(make_detector(), frames, 3, 'fresh')[1][0])
    assert_alike(found[1], run(healthy, frames, 3, 'well')[1][0])
    assert run(detector, frames, 4, 'ill', 'well')[0] == [None, None]


@BAD
def test_the_lines_on_disk_give_the_reset(make_detector, video_file, tmp_path, bad):
    detector = make_detector()
    with poisoned(detector, 0, bad):
        detect_sources(detector, open_sources([str(video_file(n=4))]), json_lines=str(tmp_path / 'lines.jsonl'))
    lines = map(json.loads, (tmp_path / 'lines.jsonl').read_text().splitlines())
    assert [(line['reset'], line['detections']) for line in lines] == [('new', []), *[('nonfinite', [])] * 3]
    assert len(detector.bank) == 0
