"""The engine without training's parts gives the reference's detections."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tests.engines.conftest import assert_same_detections, stream
from tsm_det import OnlineDetector, config_path
from tsm_det.engines import ENGINES, with_engine
from tsm_det.errors import InputError


@pytest.mark.parametrize('norm', ['GN', 'BN'])
@pytest.mark.parametrize('changes', [
    {}, dict(neck=dict(shift_at='inner')), dict(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))],
    ids=['shift', 'inner', '2d'])
def test_streams_give_what_they_give_eagerly(make_model, norm, changes):
    model = make_model(norm, **changes)
    fast = with_engine(model, 'fast')
    expected = stream(model)
    assert_same_detections(stream(fast), expected)
    for (_, state), (_, other) in zip(stream(fast), expected, strict=True):
        for ours, eagers in zip([*state.backbone, *state.neck], [*other.backbone, *other.neck], strict=True):
            torch.testing.assert_close(ours, eagers, rtol=1e-4, atol=1e-5)


def test_the_model_given_stays_as_it_is(make_model):
    model = make_model()
    before, names = stream(model), [name for name, _ in model.named_modules()]
    with_engine(model, 'fast')
    assert [name for name, _ in model.named_modules()] == names
    assert_same_detections(stream(model), before, px=0, score=0)


def test_no_batch_norm_is_left(make_model):
    assert any(isinstance(module, nn.BatchNorm2d) for module in make_model().modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in with_engine(make_model(), 'fast').modules())


def test_bfloat16_rounds_and_does_no_more(make_model):
    model = make_model()
    exact, rounded = stream(model), stream(with_engine(model, 'fast-bf16'))
    for (_, state), (instances, rough) in zip(exact, rounded, strict=True):
        for one, other in zip([*state.backbone, *state.neck], [*rough.backbone, *rough.neck], strict=True):
            assert other.dtype == torch.bfloat16
            assert (one - other.float()).norm() < 0.03 * one.norm()
        assert all(sample.bboxes.dtype == sample.scores.dtype == torch.float32 for sample in instances)


def test_a_state_is_an_eighth_of_what_it_was_cut_out_of_in_every_engine(make_model):
    model = make_model()
    numbers = [tensor.numel() for part in stream(model)[-1][1] for tensor in part]
    for name in ('fast', 'fast-bf16'):
        tensors = [tensor for part in stream(with_engine(model, name))[-1][1] for tensor in part]
        assert [tensor.numel() for tensor in tensors] == numbers
        assert all(tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size() for tensor in tensors)


def test_what_pools_otherwise_is_refused(make_model):
    model = copy.deepcopy(make_model())
    model.roi_head.bbox_roi_extractor.roi_layers[0].pool_mode = 'max'
    with pytest.raises(InputError, match='use the engine eager'):
        with_engine(model, 'fast')


def test_an_unknown_engine_is_one_sentence(make_model):
    with pytest.raises(InputError, match=f'the engine is turbo but one of {", ".join(ENGINES)} is needed'):
        with_engine(make_model(), 'turbo')


def test_a_detector_is_built_with_an_engine():
    detector = OnlineDetector.from_config(config_path('tsm_faster_rcnn_r18_synthvid'), engine='fast')
    images = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    assert [detector(image).metainfo['reset'] for image in images] == ['new', None, None]
    assert detector.model.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last)
