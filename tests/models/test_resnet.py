"""The keys of TSMResNet."""

import warnings

import pytest
import torch

from tests.tiny import random_clip
from tsm_det.models.backbones import TSMResNet


def small(depth=18, **keys):
    return TSMResNet(depth, base_channels=8, **keys)


@pytest.mark.parametrize(('depth', 'sites'), [(18, 8), (34, 16), (50, 16), (101, 18), (152, 26)])
def test_sites_follow_the_papers_rule(depth, sites):
    assert len(small(depth).sites) == sites


@pytest.mark.parametrize(('keys', 'sites'), [
    (dict(shift_stages=(3, 1)), ((1, 0), (1, 1), (3, 0), (3, 1))),
    (dict(shift_every=2), ((0, 0), (1, 0), (2, 0), (3, 0))),
    (dict(shift_stages=()), ()),
])
def test_sites_follow_the_keys(keys, sites):
    assert small(**keys).sites == sites


@pytest.mark.parametrize('keys', [dict(style='caffe'), dict(deep_stem=True, avg_down=True), dict(out_indices=(1, 3)),
                                  dict(plugins=[dict(cfg=dict(type='ContextBlock', ratio=0.5),
                                                     position='after_conv2')]),
                                  dict(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1),
                                       shift_stages=(0, 1))], ids=str)
@torch.no_grad()
def test_resnets_own_keys_work_with_sites(keys):
    network = small(50, **keys).eval().double()
    clip = random_clip(1, 3).double()
    whole, _ = network.forward_clip(clip)
    past, last = (), None
    for frame in clip.split(1, dim=1):
        last, past = network.forward_clip(frame, past)
    for one, two in zip(last, whole, strict=True):
        torch.testing.assert_close(one, two[2:])


def test_the_state_is_the_shifted_channels_of_each_block_input():
    _, present = small(50).eval().forward_clip(random_clip(2, 1))
    widths = [8] + [32] * 3 + [64] * 4 + [128] * 6 + [256] * 2
    assert [tensor.shape[:2] for tensor in present] == [(2, width // 8) for width in widths]


@pytest.mark.parametrize(('keys', 'message'), [
    (dict(shift_div=0), 'shift_div is 0'),
    (dict(shift_div=9), 'layer1.0.conv1 .*8.*9'),
    (dict(shift_every=0), 'shift_every is 0'),
    (dict(shift_stages=(0, 4)), r'shift_stages has \[4\].*0 to 3'),
])
def test_a_wrong_key_gets_one_sentence(keys, message):
    with pytest.raises(ValueError, match=message):
        small(**keys)


def test_an_image_is_not_a_clip():
    with pytest.raises(ValueError, match=r'\(1, 3, 64, 64\).*\(N, T, C, H, W\)'):
        small().forward_clip(random_clip(1, 1)[:, 0])


def test_frozen_stages_with_sites_warn_once_and_say_why():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        network = small(frozen_stages=2)
        network.train()
        network.train()
    messages = [str(warning.message) for warning in caught if 'frozen' in str(warning.message)]
    assert len(messages) == 1
    assert 'frozen_stages=2' in messages[0]
    assert '[0, 1]' in messages[0]


@pytest.mark.parametrize('keys', [dict(frozen_stages=0), dict(frozen_stages=1, shift_stages=(1, 2, 3))], ids=str)
def test_frozen_stages_without_sites_do_not_warn(keys):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        small(**keys)


def test_norm_eval_and_frozen_stages_behave_as_in_mmdet():
    network = small(frozen_stages=1, norm_eval=True, shift_stages=(1, 2, 3))
    network.train()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert not any(norm.training for norm in norms)
    assert not any(p.requires_grad for p in network.layer1.parameters())
    assert all(p.requires_grad for p in network.layer2.parameters())
