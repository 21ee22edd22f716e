"""A detector whose backbone has an operator with weights streams, is saved, runs in engines and is exported."""

from functools import partial

import pytest
import torch
from torch.testing import assert_close

from tests.engines.conftest import assert_same_detections, stream
from tests.export.conftest import SIZE, frames, make_detector
from tests.tiny import frame_sample, random_clip, tiny_detector
from tsm_det.engines import with_engine
from tsm_det.errors import InputError
from tsm_det.models.operators import OPERATORS
from tsm_det.models.weights import load_weights

EACH = pytest.mark.parametrize('operator', OPERATORS)


def calm(model):
    """Random weights grow along a chain of operators; trained ones do not."""
    with torch.no_grad():
        for parameter in model.backbone.temporal.parameters():
            parameter.mul_(0.2)
    return model


def build(operator):
    return calm(tiny_detector(backbone=dict(operator=operator)))


def online(operator):
    detector = make_detector(backbone=dict(operator=operator))
    calm(detector.model)
    return detector


@EACH
@torch.no_grad()
def test_streams_equal_the_clip(operator):
    model, clip = build(operator).double(), random_clip(2, 4).double()
    whole, end = model.extract_clip(clip)
    past = None
    for t in range(4):
        feats, past = model.extract_clip(clip[:, t:t + 1], past)
        assert_close(list(feats), [level.unflatten(0, (2, 4))[:, t] for level in whole])
    assert_close(past, end)


@EACH
def test_a_resumed_stream_is_bit_equal_and_another_operators_state_is_refused(operator, tmp_path):
    detector, images = online(operator), frames(4)
    for t in range(2):
        detector(images[t])
    detector.save_state(tmp_path / 'state')
    expected = [detector(images[t]).pred_instances.bboxes for t in (2, 3)]
    resumed = online(operator)
    resumed.load_state(tmp_path / 'state')
    for t, boxes in zip((2, 3), expected, strict=True):
        sample = resumed(images[t])
        assert sample.metainfo['reset'] is None
        assert torch.equal(sample.pred_instances.bboxes, boxes)
    with pytest.raises(InputError):
        make_detector().load_state(tmp_path / 'state')


@EACH
@pytest.mark.parametrize('engine', ['fast', 'compiled'])
def test_engines_equal_eager(operator, engine, monkeypatch):
    monkeypatch.setattr(torch, 'compile', partial(torch.compile, backend='eager'))
    model = build(operator)
    with torch.no_grad():
        for layer in (model.rpn_head.rpn_reg, model.roi_head.bbox_head.fc_reg):
            layer.weight *= 0.05
    assert_same_detections(stream(with_engine(model, engine)), stream(model))


@EACH
@torch.no_grad()
def test_bfloat16_streams_are_finite(operator):
    model, past = with_engine(build(operator), 'fast-bf16'), None
    for t in range(3):
        [sample], past = model.detect(random_clip(1, 1, t), [frame_sample(t)], past)
        assert sample.pred_instances.bboxes.isfinite().all()


@EACH
def test_its_checkpoint_loads_where_all_sites_are_switched_off_and_nowhere_else(operator, tmp_path):
    model, path = build(operator), str(tmp_path / 'weights.pth')
    torch.save({'state_dict': model.state_dict()}, path)
    plain = tiny_detector(seed=1, backbone=dict(shift_stages=()), neck=dict(shift_levels=()))
    load_weights(plain, path)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in plain.state_dict().items())
    with pytest.raises(InputError, match='temporal'):
        load_weights(tiny_detector(), path)


@EACH
@pytest.mark.slow
def test_the_exported_detector_equals_eager(operator, tmp_path):
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package)
    from tsm_det.export.onnx import write_onnx
    from tsm_det.export.parity import compare_with_eager

    detector = online(operator)
    write_onnx(detector, SIZE, tmp_path / 'model.onnx')
    parity = compare_with_eager(detector, tmp_path / 'model.onnx', frames(4))
    assert parity.agrees and parity.detections, str(parity)
