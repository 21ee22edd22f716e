"""One graph per frame size serves new and running streams, with the detections of eager mode."""

from functools import partial

import pytest
import torch

from tests.engines.conftest import assert_same_detections, stream
from tests.tiny import random_clip
from tsm_det.engines import with_engine


@pytest.fixture
def without_a_compiler(monkeypatch):
    """Capture graphs but run them eagerly: Inductor takes half a minute."""
    monkeypatch.setattr(torch, 'compile', partial(torch.compile, backend='eager'))


def check_compiled(model):
    """Compare with eager; running streams must not compile again, whatever layout Inductor chose for their past."""
    detector = with_engine(model, 'compiled')
    expected = stream(model)
    stream(detector, frames=1)
    with torch.compiler.set_stance('fail_on_recompile'):
        assert_same_detections(stream(detector), expected)


def test_captured_streams_equal_eager_and_are_captured_once(make_model, without_a_compiler):
    check_compiled(make_model())


def test_a_memory_of_past_frames_runs_beside_the_graph(make_model, without_a_compiler):
    check_compiled(make_model(roi_head=dict(type='MemoryRoIHead', memory=dict(k=6, recent=2, sparse=1, every=2))))


@pytest.mark.slow
def test_compiled_streams_equal_eager_and_are_compiled_once(make_model):
    check_compiled(make_model('GN'))


def test_inputs_are_not_modified(make_model, without_a_compiler):
    detector = with_engine(make_model(), 'compiled')
    clip = random_clip(1, 1)
    with torch.no_grad():
        _, past = detector.extract_clip(clip)
        kept = [tensor.clone() for part in past for tensor in part]
        detector.extract_clip(clip, past)
    assert torch.equal(clip, random_clip(1, 1))
    assert all(map(torch.equal, kept, [tensor for part in past for tensor in part]))


def test_sizes_beyond_the_limit_run_uncompiled_and_are_logged_once(make_model, without_a_compiler, monkeypatch):
    lines = []
    monkeypatch.setattr('tsm_det.engines.compiling._MOST_GRAPHS', 2)
    monkeypatch.setattr('tsm_det.engines.compiling.print_log', lambda text, *_, **__: lines.append(text))
    model = make_model()
    detector = with_engine(model, 'compiled')
    for size in (64, 96, 128, 160, 64):
        assert_same_detections(stream(detector, 3, 1, size), stream(model, 3, 1, size))
    assert [line.split()[0] for line in lines] == ['64x64', '96x96', '128x128']
