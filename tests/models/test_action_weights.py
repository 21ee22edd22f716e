"""Weights of TSM's action recognition networks: names, and the order of channels."""

import re

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch.testing import assert_close

from tests.models.families import build_part, frames
from tsm_det.errors import InputError
from tsm_det.locks import locked
from tsm_det.models.action_weights import past_first
from tsm_det.models.foreign_weights import convert_weights

KEYS = {18: dict(depth=18, base_channels=16), 50: dict(depth=50, base_channels=16)}


def network(depth, **keys):
    return build_part('TSMResNet', **KEYS[depth], **keys)


def as_authors(weights):
    """Names in the authors' checkpoints: DataParallel of a TSN around torchvision's network."""
    named = {re.sub(r'(layer\d\.\d+\.conv1)\.', r'\1.net.', key): tensor for key, tensor in weights.items()}
    return {**{f'module.base_model.{key}': tensor for key, tensor in named.items()},
            'module.new_fc.weight': torch.zeros(400, 2048), 'module.new_fc.bias': torch.zeros(400)}


def as_mmaction(weights):
    """Names of mmaction2's ResNetTSM: a convolution and its norm are one ConvModule."""
    renamed = {}
    for key, tensor in weights.items():
        key = re.sub(r'bn(\d)\.', r'conv\1.bn.', key)
        key = re.sub(r'(conv\d)\.(weight)', r'\1.conv.\2', key) if '.bn.' not in key else key
        key = re.sub(r'(layer\d\.\d+\.conv1\.conv)\.', r'\1.net.', key)
        key = key.replace('downsample.0.', 'downsample.conv.').replace('downsample.1.', 'downsample.bn.')
        renamed[f'backbone.{key}'] = tensor
    return {**renamed, 'cls_head.fc_cls.weight': torch.zeros(400, 2048)}


def swapped(level):
    """Maps with the first and the second eighth of their channels exchanged."""
    fold = level.shape[1] // 8
    return torch.cat([level[:, fold:2 * fold], level[:, :fold], level[:, 2 * fold:]], dim=1)


def test_the_names_are_those_of_the_checkpoints():
    assert {'module.base_model.conv1.weight', 'module.base_model.layer1.0.conv1.net.weight',
            'module.base_model.layer1.0.bn1.running_mean', 'module.base_model.layer1.0.downsample.0.weight'} <= set(
                as_authors(network(50).state_dict()))
    assert {'backbone.conv1.conv.weight', 'backbone.conv1.bn.weight', 'backbone.layer1.0.conv1.conv.net.weight',
            'backbone.layer1.0.conv1.bn.weight', 'backbone.layer1.0.conv3.conv.weight',
            'backbone.layer1.0.downsample.conv.weight', 'backbone.layer1.0.downsample.bn.running_var'} <= set(
                as_mmaction(network(50).state_dict()))


@pytest.mark.parametrize('depth', [18, 50])
@pytest.mark.parametrize('names', [as_authors, as_mmaction])
@torch.no_grad()
def test_a_backbone_starts_from_the_weights_of_the_same_network(tmp_path, depth, names):
    source, clip = network(depth, direction='both'), frames(4, size=32)[None]
    torch.save({'epoch': 1, 'state_dict': names(source.state_dict())}, tmp_path / 'tsm.pth')
    left_out = convert_weights(str(tmp_path / 'tsm.pth'), tmp_path / 'backbone.pth')
    assert all('fc' in key for key in left_out)
    init_default_scope('mmdet')
    started = MODELS.build(dict(type='TSMResNet', direction='both', **KEYS[depth], init_cfg=dict(
        type='Pretrained', checkpoint=str(tmp_path / 'backbone.pth')))).double()
    started.init_weights()
    assert all(map(torch.equal, started.eval().forward_clip(clip)[0], source.forward_clip(clip)[0]))
    for key, tensor in source.state_dict().items():
        assert torch.equal(started.state_dict()[key], tensor)


@pytest.mark.parametrize('depth', [18, 50])
@torch.no_grad()
def test_with_the_past_first_a_reversed_clip_gives_the_same_features(depth):
    """Backwards in time, the bi-directional shift takes the first channels from the past."""
    source, remapped, clip = (*(network(depth, direction='both') for _ in range(2)), frames(5, size=32)[None])
    remapped.load_state_dict(past_first(source.state_dict()))
    backwards = remapped.forward_clip(clip.flip(1))[0]
    for level, expected in zip(backwards, source.forward_clip(clip)[0], strict=True):
        assert_close(level.flip(0), swapped(expected))


@pytest.mark.parametrize('depth', [18, 50])
@torch.no_grad()
def test_an_online_network_computes_the_same_where_no_layer_reads_the_future(depth):
    source, online, clip = network(depth, direction='both'), network(depth), frames(5, size=32)[None]
    for name in source.site_names:
        weight = source.get_submodule(name).weight
        weight[:, :weight.shape[1] // 8] = 0
    online.load_state_dict(past_first(source.state_dict()))
    for level, expected in zip(online.forward_clip(clip)[0], source.forward_clip(clip)[0], strict=True):
        assert_close(level, swapped(expected))


def test_converting_twice_gives_the_same_order_again():
    weights = network(50).state_dict()
    again = past_first(past_first(weights))
    assert all(torch.equal(again[key], tensor) for key, tensor in weights.items())


@pytest.mark.parametrize(('change', 'fact'), [
    (lambda weights: {key.replace('.net', ''): tensor for key, tensor in weights.items()}, 'shifted ResNet'),
    (lambda _: {'fc.weight': torch.zeros(1)}, 'shifted ResNet'),
    (lambda weights: {re.sub(r'(layer\d\.\d+)\.(conv1)\.net', r'\1.net.\2', key): tensor
                      for key, tensor in weights.items()}, r'layer1\.0\.net\.conv1.*blockres'),
    (lambda weights: {**weights, 'module.base_model.layer2.0.nl.g.weight': torch.zeros(1)}, r'layer2\.0\.nl')])
def test_other_checkpoints_are_refused(tmp_path, change, fact):
    torch.save({'state_dict': change(as_authors(network(18).state_dict()))}, tmp_path / 'tsm.pth')
    with pytest.raises(InputError, match=fact):
        convert_weights(str(tmp_path / 'tsm.pth'), tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()


def test_the_tool_says_what_it_left_out(run, tmp_path):
    torch.save({'state_dict': as_authors(network(18).state_dict())}, tmp_path / 'tsm.pth')
    status, out, err = run(f'convert_weights {tmp_path}/tsm.pth --out {tmp_path}/b.pth --direction past')
    assert status == 0, out + err
    assert 'left out: module.new_fc.weight, module.new_fc.bias' in out
    assert 'fine-tune' in out + err
    status, _, err = run(f'convert_weights {tmp_path}/tsm.pth --out {tmp_path}/b.pth --direction future')
    assert (status, "'future'" in err.splitlines()[-1]) == (2, True)


def test_weights_that_another_run_writes_are_refused(tmp_path):
    torch.save(as_authors(network(18).state_dict()), tmp_path / 'a.pth')
    with locked(tmp_path / 'b.pth'), pytest.raises(InputError, match='b.pth'):
        convert_weights(str(tmp_path / 'a.pth'), tmp_path / 'b.pth')
    assert not (tmp_path / 'b.pth').exists()
