"""Laws of every registered backbone and neck."""

import copy
import pickle

import pytest
import torch
from torch.testing import assert_close

from tests.models.families import BACKBONES, NECKS, build_part, features, frames
from tsm_det.models import backbones, necks

PARTS = [*BACKBONES, *NECKS]
CHECKPOINTED = ['ResNet', 'ResNetV1d', 'ResNeXt', 'Res2Net', 'ResNeSt', 'RegNet', 'DetectoRS_ResNet', 'HRNet',
                'MobileNetV2', 'EfficientNet', 'SwinTransformer']


def keys_of(name):
    return {**BACKBONES, **NECKS}[name]


def off(name):
    return dict(shift_stages=()) if name in BACKBONES else dict(shift_levels=())


def temporal(name, **keys):
    return build_part(f'TSM{name}', **keys_of(name), **keys)


def inputs(name, n, t, seed=0):
    return frames(n * t, seed) if name in BACKBONES else features(n * t, seed)


def clip_of(name, part, given, t, past=()):
    if name in BACKBONES:
        return part.forward_clip(given.unflatten(0, (-1, t)), past)
    return part.forward_clip(given, t, past)


def take(given, rows):
    return [level[rows] for level in given] if isinstance(given, list) else given[rows]


def test_every_registered_family_is_tested():
    made = {name for module in (backbones, necks) for name in vars(module) if name.startswith('TSM')}
    assert {f'TSM{name}' for name in PARTS} == made


@pytest.mark.parametrize('name', PARTS)
@torch.no_grad()
def test_without_sites_it_equals_mmdet_bit_for_bit(name):
    ours, theirs = temporal(name, **off(name)), build_part(name, seed=1, **keys_of(name))
    theirs.load_state_dict(ours.state_dict())
    given = inputs(name, 2, 1)
    for one, other in zip(ours(given), theirs(given), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize('name', PARTS)
def test_parameter_names_are_mmdets(name):
    assert list(temporal(name).state_dict()) == list(build_part(name, **keys_of(name)).state_dict())


@pytest.mark.parametrize('name', PARTS)
@pytest.mark.parametrize('cuts', [[1, 1, 1, 1], [3, 1], [1, 2, 1]], ids=str)
@torch.no_grad()
def test_a_clip_may_be_cut_anywhere(name, cuts):
    part, given = temporal(name), inputs(name, 1, 4)
    whole, end = clip_of(name, part, given, 4)
    past, pieces, start = (), [], 0
    for length in cuts:
        feats, past = clip_of(name, part, take(given, slice(start, start + length)), length, past)
        pieces.append(feats)
        start += length
    assert_close([torch.cat(levels) for levels in zip(*pieces, strict=True)], list(whole))
    assert_close(past, end)
    assert len(end) == len(part.sites) > 0


@pytest.mark.parametrize('name', PARTS)
@torch.no_grad()
def test_the_past_matters_and_the_future_does_not(name):
    part, given, other = temporal(name), inputs(name, 1, 3), inputs(name, 1, 3, seed=5)
    changed = [level.clone() for level in given] if isinstance(given, list) else given.clone()
    for one, two in zip(changed, other, strict=True) if isinstance(given, list) else [(changed, other)]:
        one[1] = two[1]
    before, after = clip_of(name, part, given, 3)[0], clip_of(name, part, changed, 3)[0]
    assert all(torch.equal(one[0], two[0]) for one, two in zip(before, after, strict=True))
    assert any(not torch.equal(one[2], two[2]) for one, two in zip(before, after, strict=True))


@pytest.mark.parametrize('name', PARTS)
@torch.no_grad()
def test_streams_in_a_batch_do_not_mix_and_a_past_owns_its_memory(name):
    part, given = temporal(name), inputs(name, 2, 3)
    together, present = clip_of(name, part, given, 3)
    for stream in range(2):
        rows = slice(3 * stream, 3 * stream + 3)
        alone, past = clip_of(name, part, take(given, rows), 3)
        assert_close([level[rows] for level in together], list(alone))
        assert_close([tensor[stream:stream + 1] for tensor in present], list(past))
    assert all(tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size() for tensor in present)


@pytest.mark.parametrize('name', PARTS)
@torch.no_grad()
def test_inputs_are_restored_and_copies_are_independent(name):
    part, given = temporal(name), inputs(name, 1, 2)
    before = copy.deepcopy(given)
    expected = clip_of(name, part, given, 2)
    assert_close(given, before, rtol=0, atol=0)
    for other in (copy.deepcopy(part), pickle.loads(pickle.dumps(part))):
        assert_close(clip_of(name, other, given, 2), expected, rtol=0, atol=0)


@pytest.mark.parametrize('name', CHECKPOINTED)
def test_gradient_checkpointing_changes_no_gradient(name):
    clip, gradients = frames(4).unflatten(0, (2, 2)), []
    for with_cp in (False, True):
        network = temporal(name, with_cp=with_cp)
        torch.manual_seed(0)
        pasts = [torch.randn_like(tensor).requires_grad_() for tensor in network.forward_clip(clip)[1]]
        frames_in = clip.clone().requires_grad_()
        feats, present = network.forward_clip(frames_in, pasts)
        loss = sum((level ** 2).mean() for level in feats) + sum((tensor ** 2).mean() for tensor in present)
        loss.backward()  # mmdet's checkpoint in blocks without a site takes no torch.autograd.grad
        gradients.append([tensor.grad for tensor in (frames_in, *pasts, *network.parameters())])
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)


def test_a_site_outside_of_a_pass_is_an_error():
    network = temporal('ResNet')
    with pytest.raises(RuntimeError, match=r'layer1\.0\.conv1'):
        network.layer1(torch.randn(1, 8, 16, 16, dtype=torch.double))
