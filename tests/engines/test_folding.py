"""The fast engines have the detections of eager mode."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.engines.conftest import assert_same_detections, stream
from tsm_det import OnlineDetector, config_path
from tsm_det.engines import ENGINES, with_engine
from tsm_det.errors import InputError
from tsm_det.shift import tensors_of


@pytest.mark.parametrize('norm', ['GN', 'BN'])
@pytest.mark.parametrize('changes', [
    {}, dict(neck=dict(shift_at='inner')), dict(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))],
    ids=['shift', 'inner', '2d'])
def test_streams_equal_eager(make_model, norm, changes):
    model = make_model(norm, **changes)
    outputs, expected = stream(with_engine(model, 'fast')), stream(model)
    assert_same_detections(outputs, expected)
    for (_, state), (_, other) in zip(outputs, expected, strict=True):
        torch.testing.assert_close(tensors_of(state), tensors_of(other), rtol=1e-4, atol=2e-5)


def test_batch_norms_are_folded_in_a_copy(make_model):
    model = make_model()
    before, names = stream(model), [name for name, _ in model.named_modules()]
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in with_engine(model, 'fast').modules())
    assert [name for name, _ in model.named_modules()] == names
    assert_same_detections(stream(model), before, px=0, score=0)


def test_bfloat16_changes_states_by_rounding_only(make_model):
    model = make_model()
    exact, rounded = stream(model), stream(with_engine(model, 'fast-bf16'))
    for (_, state), (instances, rough) in zip(exact, rounded, strict=True):
        for one, other in zip(tensors_of(state), tensors_of(rough), strict=True):
            assert other.dtype == torch.bfloat16
            assert (one - other.float()).norm() < 0.03 * one.norm()
        assert all(sample.bboxes.dtype == sample.scores.dtype == torch.float32 for sample in instances)


def test_states_own_only_their_memory_in_every_engine(make_model):
    model = make_model()
    numbers = [tensor.numel() for tensor in tensors_of(stream(model)[-1][1])]
    for name in ('fast', 'fast-bf16'):
        tensors = tensors_of(stream(with_engine(model, name))[-1][1])
        assert [tensor.numel() for tensor in tensors] == numbers
        assert all(tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size() for tensor in tensors)


def test_an_unknown_engine_is_refused_with_the_known_ones(make_model):
    with pytest.raises(InputError, match=f'turbo .*{", ".join(ENGINES)}'):
        with_engine(make_model(), 'turbo')


def test_a_detector_is_built_with_an_engine():
    detector = OnlineDetector.from_config(config_path('tsm_faster_rcnn_r18_synthvid'), engine='fast')
    images = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    assert [detector(image).metainfo['reset'] for image in images] == ['new', None, None]
    assert detector.model.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last)
