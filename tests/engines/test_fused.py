"""Fused convolutions change no detection, and single ones no bit."""

import copy
import pickle

import pytest
import torch
from mmcv.cnn import ConvModule, fuse_conv_bn
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck
from torch import nn
from torch.nn.functional import conv2d, relu, relu6, silu

from tests.engines.conftest import assert_same_detections, stream
from tests.models.families import BACKBONES, build_part
from tests.models.test_detectors import build
from tests.tiny import random_clip
from tsm_det.engines import with_engine
from tsm_det.engines.fused import FusedBasicBlock, FusedBottleneck, PackedConv2d, can_fuse, fuse
from tsm_det.shift import tensors_of
from tsm_det.streams.state_file import model_signature

pytestmark = pytest.mark.skipif(not can_fuse(torch.float32), reason='this torch lacks the operators of oneDNN')


def features(model, sizes=(64, 96), streams=2, frames=3):
    """The pyramid and state of streamed frames of each size."""
    outputs = []
    for size in sizes:
        past = None
        for k in range(frames):
            with torch.no_grad():
                feats, past = model.extract_clip(random_clip(streams, 1, k, size), past)
            outputs += [*feats, *tensors_of(past)]
    return outputs


def with_plain_convolutions(model, monkeypatch, engine='fast'):
    with monkeypatch.context() as patch:
        patch.setattr('tsm_det.engines.can_fuse', lambda dtype: False)
        return with_engine(model, engine)


@pytest.mark.parametrize('name', ['FasterRCNN', 'RetinaNet', 'RTMDet'])
@pytest.mark.parametrize('changes', [{}, dict(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))],
                         ids=['shift', '2d'])
def test_streams_of_two_sizes_equal_the_plain_ones(name, changes, monkeypatch):
    model = build(name, **changes)
    fused, plain = with_engine(model, 'fast'), with_plain_convolutions(model, monkeypatch)
    assert any(isinstance(module, PackedConv2d) for module in fused.modules())
    assert not any(isinstance(module, PackedConv2d) for module in plain.modules())
    for streams in (1, 3):
        torch.testing.assert_close(features(fused, streams=streams), features(plain, streams=streams),
                                   rtol=1e-4, atol=1e-4)


def test_the_plain_path_detects_the_same(make_model, monkeypatch):
    model = make_model()
    for size in (64, 96):
        outputs = stream(with_plain_convolutions(model, monkeypatch), 3, 2, size)
        assert_same_detections(stream(with_engine(model, 'fast'), 3, 2, size), outputs)


@pytest.mark.parametrize('name', BACKBONES)
@torch.no_grad()
def test_every_backbone_streams_as_before(name):
    plain = fuse_conv_bn(build_part(f'TSM{name}', **BACKBONES[name]).float()).to(memory_format=torch.channels_last)
    fused = copy.deepcopy(plain)
    fuse([fused])
    for size in (64, 96):
        past = old = ()
        for k in range(3):
            clip = random_clip(2, 1, k, size).to(memory_format=torch.channels_last_3d)
            feats, past = fused.forward_clip(clip, past)
            expected, old = plain.forward_clip(clip, old)
            torch.testing.assert_close([*feats, *past], [*expected, *old], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('block', [BasicBlock, Bottleneck])
@pytest.mark.parametrize('layer', ['first', 'later', 'downsample'])
@torch.no_grad()
def test_a_block_equals_mmdets_and_writes_into_no_map_that_others_read(block, layer):
    width = 32 * block.expansion
    down = nn.Sequential(nn.Conv2d(width, width, 1)) if layer == 'downsample' else None
    blocks = nn.Sequential(nn.Identity(), block(width, 32, downsample=down, norm_cfg=dict(type='BN')))
    blocks = blocks[1:] if layer == 'first' else blocks
    for part in blocks.modules():
        for name, child in list(part.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(part, name, nn.Identity())
    blocks = blocks.eval().to(memory_format=torch.channels_last)
    frames = torch.randn(2, width, 24, 40).to(memory_format=torch.channels_last)
    kept, expected = frames.clone(), blocks(frames)
    fuse([blocks])
    assert type(blocks[-1]) in (FusedBasicBlock, FusedBottleneck)
    torch.testing.assert_close(blocks(frames), expected, rtol=1e-5, atol=1e-5)
    assert layer == 'later' or torch.equal(frames, kept)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(('activation', 'function'), [('ReLU', relu), ('ReLU6', relu6), ('SiLU', silu)])
@pytest.mark.parametrize('size', [(1, 1), (3, 5), (64, 96)])
@torch.no_grad()
def test_a_convolution_equals_torchs_at_every_size(dtype, activation, function, size):
    if not can_fuse(dtype):
        pytest.skip('no bfloat16')
    module = ConvModule(32, 48, 3, act_cfg=dict(type=activation)).eval().to(dtype, memory_format=torch.channels_last)
    module.conv.padding = (1, 1)
    fuse([module])
    weight, bias = module.conv.weight, module.conv.bias
    for streams in (1, 2):
        frames = torch.randn(streams, 32, *size).to(dtype, memory_format=torch.channels_last)
        exact = function(conv2d(frames.double(), weight.double(), bias.double(), padding=1))
        rounding = dict(rtol=1e-5, atol=1e-5) if dtype == torch.float32 else dict(rtol=2e-2, atol=2e-2)
        torch.testing.assert_close(module(frames).double(), exact, **rounding)
    is_plain = size == (64, 96) and activation != 'SiLU'  # torch multiplies matrices on small maps
    assert not is_plain or torch.equal(module(frames), function(conv2d(frames, weight, bias, padding=1)))


def test_copies_and_pickles_run(make_model):
    model = with_engine(make_model(), 'fast')
    expected = features(model)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(features(other), expected, rtol=0, atol=0)


@torch.no_grad()
def test_weights_that_are_loaded_later_are_used():
    model, other = (with_engine(build('FasterRCNN', seed=seed).float(), 'fast') for seed in (0, 1))
    before, expected = features(model), features(other)
    assert not torch.equal(before[0], expected[0])
    model.load_state_dict(other.state_dict())
    assert all(map(torch.equal, features(model), expected))


def test_the_signature_holds_the_weights_and_not_what_has_run(make_model):
    model = make_model()
    detector = with_engine(model, 'fast')
    before = model_signature(detector)
    features(detector)
    assert model_signature(detector) == before
    with torch.no_grad():
        model.backbone.layer1[0].conv1.weight[0, 0, 0, 0] += 1
    assert model_signature(with_engine(model, 'fast')) != before


def test_layouts_are_shared_by_sizes(make_model):
    model = with_engine(make_model(), 'fast')
    features(model, sizes=(64, 96, 128, 160))
    packed = model.backbone.layer1[0].conv1.packed
    assert len([key for key in packed if isinstance(key, torch.Size)]) == 4
    assert len({id(weight) for weight in packed.values()}) == 1
