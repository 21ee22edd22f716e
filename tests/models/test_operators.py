"""Laws of the operators with weights: each in three kinds of backbones, two of them in every backbone."""

import copy
import pickle

import pytest
import torch
from mmdet.registry import MODELS
from torch import nn
from torch.testing import assert_close

from tests.models.families import BACKBONES, build_part, frames, randomized
from tsm_det.errors import InputError
from tsm_det.models.backbones import temporal_backbone
from tsm_det.models.operators import OPERATORS

REMEMBERED_FRAMES = {'conv': 2, 'tea': 1, 'tada': 7, 'attention': 3, 'gate': 9}  # 9: all of the test
PAIRS = pytest.mark.parametrize(('name', 'operator'), [
    (name, operator) for name in BACKBONES for operator in OPERATORS
    if operator in ('attention', 'gate') or name in ('ResNet', 'MobileNetV2', 'SwinTransformer')])
EACH = pytest.mark.parametrize('operator', OPERATORS)


def test_every_operator_is_tested():
    assert set(OPERATORS) == set(REMEMBERED_FRAMES)


def build(name, operator, **keys):
    network = build_part(f'TSM{name}', **BACKBONES[name], operator=operator, **keys)
    with torch.no_grad():
        for parameter in network.temporal.parameters():  # as drawn, a chain of them grows without bound
            parameter.mul_(0.2)
    return network


def made(operator, channels=128, seed=0):
    torch.manual_seed(seed)
    return randomized(OPERATORS[operator](channels))


def maps(n, t, channels=128, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n * t, channels, 5, 4, generator=generator, dtype=torch.double)


@PAIRS
@torch.no_grad()
def test_a_clip_may_be_cut_anywhere(name, operator):
    network, clip = build(name, operator), frames(5).unflatten(0, (1, 5))
    whole, end = network.forward_clip(clip)
    past, pieces = (), []
    for piece in clip.split([1, 1, 2, 1], dim=1):
        feats, past = network.forward_clip(piece, past)
        pieces.append([level.unflatten(0, piece.shape[:2]) for level in feats])
    assert_close([torch.cat(levels, dim=1).flatten(0, 1) for levels in zip(*pieces, strict=True)], list(whole))
    assert_close(past, end)
    still = network.forward_clip(clip[:, :1].expand(-1, 5, -1, -1, -1))[0]
    assert not torch.equal(still[0].unflatten(0, (1, 5))[:, -1], whole[0].unflatten(0, (1, 5))[:, -1])


@PAIRS
@torch.no_grad()
def test_as_initialised_it_equals_mmdet_bit_for_bit(name, operator):
    network, plain = build(name, operator), build_part(name, **BACKBONES[name])
    fresh = MODELS.build({'type': f'TSM{name}', **BACKBONES[name], 'operator': operator})
    fresh.init_weights()
    network.temporal.load_state_dict(fresh.temporal.state_dict())
    new = set(network.state_dict()) - set(plain.state_dict())
    assert new == {key for key in network.state_dict() if key.startswith('temporal.')} != set()
    plain.load_state_dict({key: value for key, value in network.state_dict().items() if key not in new})
    clip = frames(3).unflatten(0, (1, 3))
    for one, other in zip(network.forward_clip(clip)[0], plain(clip[0]), strict=True):
        assert torch.equal(one, other)


@EACH
@torch.no_grad()
def test_it_forgets_a_frame_after_exactly_as_many_frames_as_it_remembers(operator):
    one, other = maps(1, 12), maps(1, 12)
    other[2] = maps(1, 1, seed=1)
    outs = [made(operator)(given, (1, 12), None)[0] for given in (one, other)]
    changed = [t for t in range(12) if not torch.equal(outs[0][t], outs[1][t])]
    assert changed == list(range(2, 3 + REMEMBERED_FRAMES[operator]))


@EACH
def test_a_past_owns_its_memory_is_checked_and_has_one_row_per_stream(operator):
    module, given = made(operator), maps(2, 3)
    before = given.clone()
    out, present, change = module(given, (2, 3), None)
    assert change is None and torch.equal(given, before)
    assert present.untyped_storage().nbytes() == present.numel() * present.element_size()
    for stream in range(2):
        alone, past, _ = module(given[3 * stream:3 * stream + 3], (1, 3), None)
        assert_close(out[3 * stream:3 * stream + 3], alone)
        assert_close(present[stream:stream + 1], past)
    with pytest.raises(ValueError, match=r'past is \(1, '):
        module(given, (2, 3), present[:1])


@EACH
def test_every_weight_has_a_gradient(operator):
    module = made(operator)
    module(maps(2, 6), (2, 6), None)[0].square().mean().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in module.parameters())


@EACH
def test_gradients_are_right_through_the_past(operator):
    module = made(operator, channels=4)
    given = maps(1, 2, channels=4)[:, :, :3, :3].requires_grad_()
    past = torch.rand_like(module(given, (1, 2), None)[1]).add(0.5).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda *tensors: module(tensors[0], (1, 2), tensors[1])[:2], (given, past))


@EACH
def test_gradient_checkpointing_changes_no_gradient(operator):
    clip, gradients = frames(4).unflatten(0, (2, 2)), []
    for with_cp in (False, True):
        network = build('ResNet', operator, with_cp=with_cp)
        clip_in = clip.clone().requires_grad_()
        sum((level ** 2).mean() for level in network.forward_clip(clip_in)[0]).backward()
        gradients.append([clip_in.grad, *(parameter.grad for parameter in network.parameters())])
    assert_close(gradients[0], gradients[1], rtol=0, atol=0)


@EACH
@torch.no_grad()
def test_copies_are_independent(operator):
    network, clip = build('ResNet', operator), frames(3).unflatten(0, (1, 3))
    expected = network.forward_clip(clip)
    copies = [copy.deepcopy(network), pickle.loads(pickle.dumps(network))]
    for parameter in network.temporal.parameters():
        parameter.zero_()
    for other in copies:
        assert_close(other.forward_clip(clip), expected, rtol=0, atol=0)


@EACH
@torch.no_grad()
def test_autocast_runs_and_stays_near(operator):
    network, clip = build('ResNet', operator).float(), frames(3).float().unflatten(0, (1, 3))
    whole, _ = network.forward_clip(clip)
    past = ()
    with torch.autocast('cpu', torch.bfloat16):
        for t in range(3):
            feats, past = network.forward_clip(clip[:, t:t + 1], past)
    assert (feats[0][0].float() - whole[0][2]).norm() < 0.1 * whole[0][2].norm()


def test_an_unknown_operator_is_an_error_that_names_the_known_ones():
    with pytest.raises(InputError, match='warp.*shift.*attention'):
        build('ResNet', 'warp')


def test_a_module_of_unknown_width_is_an_error_that_names_it():
    class Double(nn.Module):
        def forward(self, x):
            return 2 * x

    class NoWidth(nn.Module):
        def __init__(self):
            super().__init__()
            self.block0_0 = Double()

    with pytest.raises(InputError, match='block0_0'):
        try:
            temporal_backbone(NoWidth, r'block(\d+)_(\d+)')(operator='conv')
        finally:
            MODELS._module_dict.pop('TSMNoWidth')
