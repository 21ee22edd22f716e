"""One graph a frame size, for fresh and running streams; the reference's detections."""

from functools import partial

import pytest
import torch

from tests.engines.conftest import assert_same_detections, stream
from tests.tiny import random_clip
from tsm_det.engines import with_engine


@pytest.fixture
def without_a_compiler(monkeypatch):
    """Graphs are captured as they are, and run as they are: what Inductor would make of them takes half a minute."""
    monkeypatch.setattr(torch, 'compile', partial(torch.compile, backend='eager'))


def test_captured_streams_give_what_they_give_eagerly(make_model, without_a_compiler):
    model = make_model()
    assert_same_detections(stream(with_engine(model, 'compiled')), stream(model))


def test_running_on_compiles_nothing(make_model, without_a_compiler):
    detector = with_engine(make_model(), 'compiled')
    stream(detector, frames=1)
    with torch.compiler.set_stance('fail_on_recompile'):
        stream(detector, frames=4)


def test_an_input_is_not_written_to(make_model, without_a_compiler):
    detector = with_engine(make_model(), 'compiled')
    clip = random_clip(1, 1)
    with torch.no_grad():
        _, _, past = detector.extract_maps(clip)
        kept = [tensor.clone() for part in past for tensor in part]
        detector.extract_maps(clip, past)
    assert torch.equal(clip, random_clip(1, 1))
    assert all(map(torch.equal, kept, [tensor for part in past for tensor in part]))


def test_sizes_beyond_the_most_run_uncompiled_and_it_is_said_once(make_model, without_a_compiler, monkeypatch):
    said = []
    monkeypatch.setattr('tsm_det.engines.compiling._MOST_GRAPHS', 2)
    monkeypatch.setattr('tsm_det.engines.compiling.print_log', lambda text, *_, **__: said.append(
        text.split(' in ')[0]))
    model = make_model()
    detector = with_engine(model, 'compiled')
    for size in (64, 96, 128, 160, 64):
        assert_same_detections(stream(detector, 3, 1, size), stream(model, 3, 1, size))
    assert said[:2] == ['compiled for 1 stream of 64x64 px', 'compiled for 1 stream of 96x96 px']
    assert said[2].startswith('1 stream of 128x128 px, and 2 graphs are compiled already')
    assert len(said) == 3


@pytest.mark.slow
def test_compiled_streams_give_what_they_give_eagerly_and_are_compiled_once(make_model):
    model = make_model('GN')
    detector = with_engine(model, 'compiled')
    expected = stream(model)
    stream(detector, frames=1)
    # Inductor lays results out as it likes: a running stream's past must be no reason to compile again.
    with torch.compiler.set_stance('fail_on_recompile'):
        assert_same_detections(stream(detector), expected)
