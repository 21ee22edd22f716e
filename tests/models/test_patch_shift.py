"""The temporal patch shift against loops over frames, windows, heads and patches."""

from itertools import product

import pytest
import torch
from mmdet.models.backbones.swin import WindowMSA
from torch import nn
from torch.testing import assert_close

from tests.models.families import randomized
from tsm_det.errors import InputError
from tsm_det.models.patch_shift import CausalChannelShift, CausalPatchShift, ChannelShift, PatchShift
from tsm_det.sites import Tape, attach_sites

N, T, WINDOWS, SIDE, HEADS, WIDTH, SHIFT_DIV = 2, 7, 3, 4, 2, 8, 4
PATCHES, CHANNELS = SIDE * SIDE, HEADS * WIDTH
SOURCE_MINUS_FRAME = ((4, -1, -2), (1, 0, -3), (2, 3, -4))
OPERATORS = {
    'channels': lambda: CausalChannelShift(HEADS, SHIFT_DIV), 'patches': CausalPatchShift,
    'channels both': lambda: ChannelShift(HEADS, SHIFT_DIV), 'patches both': PatchShift}
CAUSAL, BOTH = ['channels', 'patches'], ['channels both', 'patches both']


def attention(operator=None):
    torch.manual_seed(0)
    network = randomized(nn.Sequential(WindowMSA(CHANNELS, HEADS, (SIDE, SIDE))))
    if operator:
        attach_sites(network, ['0'], [OPERATORS[operator]()])
    return network


def clip(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(N, T, WINDOWS, PATCHES, CHANNELS, generator=generator, dtype=torch.double)


def run(network, given, past=()):
    with Tape(1, given.shape[:2], past) as tape:
        out = network(given.flatten(0, 2))
    return out.view_as(given), tape.present(['0'])


def steps(patch):
    return SOURCE_MINUS_FRAME[patch // SIDE % 3][patch % SIDE % 3]


def with_neighbours_channels(given, is_causal):
    out, count = given.clone(), WIDTH // SHIFT_DIV
    for t, channel in product(range(T), range(CHANNELS)):
        place = channel % WIDTH
        if place < count and t > 0:
            out[:, t, ..., channel] = given[:, t - 1, ..., channel]
        if not is_causal and count <= place < 2 * count and t < T - 1:
            out[:, t, ..., channel] = given[:, t + 1, ..., channel]
    return out


def attend(msa, parts, n, t, window, patch, frame_of):
    """The attention's output for a patch of frame t; ``frame_of(p)`` is the frame of the key and value of patch p."""
    bias = msa.relative_position_bias_table[msa.relative_position_index[patch]]
    heads = []
    for head in range(HEADS):
        query, keys, values = (part[n, :, window, :, head * WIDTH:(head + 1) * WIDTH] for part in parts)
        keys, values = (torch.stack([part[frame_of(p), p] for p in range(PATCHES)]) for part in (keys, values))
        heads.append((keys @ query[t, patch] * WIDTH ** -0.5 + bias[:, head]).softmax(0) @ values)
    return torch.cat(heads)


def expected(operator, given):
    """What the attention gives for a clip, by the words of the paper and of the causal form."""
    msa = attention()[0]
    if 'channels' in operator:
        given = with_neighbours_channels(given, operator == 'channels')
    parts, out = msa.qkv(given).split(CHANNELS, dim=-1), torch.empty_like(given)
    for n, t, window, patch in product(range(N), range(T), range(WINDOWS), range(PATCHES)):
        home = t - steps(patch)  # the frame to which this patch moves, to attend among those that move there
        frame_of = {
            'patches': lambda p, t=t: t - abs(steps(p)) if t >= abs(steps(p)) else t,
            'patches both': lambda p, home=home: (home + steps(p)) % T,
        }.get(operator, lambda p, t=t: t)
        out[n, t, window, patch] = attend(msa, parts, n, t, window, patch, frame_of)
    return msa.proj(out)


@pytest.mark.parametrize('operator', OPERATORS)
@torch.no_grad()
def test_it_is_what_loops_over_frames_heads_and_patches_say(operator):
    given = clip()
    before = given.clone()
    out = run(attention(operator), given)[0]
    assert_close(out, expected(operator, given))
    assert torch.equal(given, before)
    assert not torch.allclose(out, attention()(given.flatten(0, 2)).view_as(out))


@pytest.mark.parametrize('operator', CAUSAL)
@pytest.mark.parametrize('cuts', [[1] * T, [2, 1, 4], [6, 1]], ids=str)
@torch.no_grad()
def test_a_clip_may_be_cut_anywhere(operator, cuts):
    network, given = attention(operator), clip()
    whole, end = run(network, given)
    past, pieces = (), []
    for piece in given.split(cuts, dim=1):
        out, past = run(network, piece, past)
        pieces.append(out)
    assert_close(torch.cat(pieces, dim=1), whole)
    assert_close(past, end)


@pytest.mark.parametrize(('operator', 'remembered'), [('channels', 1), ('patches', 4)])
@torch.no_grad()
def test_it_forgets_a_frame_after_exactly_as_many_frames_as_it_remembers(operator, remembered):
    network, given, other = attention(operator), clip(), clip()
    other[:, 1] = clip(seed=1)[:, 1]
    one, two = run(network, given)[0], run(network, other)[0]
    assert [t for t in range(T) if not torch.equal(one[:, t], two[:, t])] == list(range(1, 2 + remembered))


@pytest.mark.parametrize('operator', CAUSAL)
@torch.no_grad()
def test_zeros_in_the_past_of_one_stream_are_a_fresh_stream(operator):
    network, given = attention(operator), clip()
    [past] = run(network, given[:, :3])[1]
    past[1] = 0
    out, _ = run(network, given[:, 3:], [past])
    assert_close(out[1:], run(network, given[1:, 3:])[0])
    assert_close(out[:1], run(network, given[:1])[0][:, 3:])


@pytest.mark.parametrize('operator', CAUSAL)
@torch.no_grad()
def test_a_past_owns_its_memory_and_is_checked(operator):
    network, given = attention(operator), clip()
    [past] = run(network, given)[1]
    assert past.untyped_storage().nbytes() == past.numel() * past.element_size()
    delays = [abs(steps(patch)) for patch in range(PATCHES)]
    numbers = {'channels': PATCHES * CHANNELS // SHIFT_DIV, 'patches': 2 * CHANNELS * sum(delays)}[operator]
    ones = {'channels': 1, 'patches': 20}[operator]
    assert past.shape == (N, WINDOWS * numbers + ones)
    with pytest.raises(ValueError, match=r'past is \(1, '):
        run(network, given, [past[:1]])
    with pytest.raises(ValueError, match=r'past is \(2, '):
        run(network, given[:, :, :2], [past])


@pytest.mark.parametrize('operator', BOTH)
@torch.no_grad()
def test_the_published_form_has_no_past(operator):
    network, given = attention(operator), clip()
    _, past = run(network, given)
    assert [tensor.shape for tensor in past] == [(N, 0)]
    with pytest.raises(InputError, match="direction='past'"):
        run(network, given, past)


@pytest.mark.parametrize('operator', OPERATORS)
def test_gradients_are_right_through_the_past(operator):
    network, given = attention(operator), clip()[:1, :2, :1].requires_grad_()
    past = [torch.rand_like(tensor).add(0.5).requires_grad_() for tensor in run(network, given)[1]]
    past = past if operator in CAUSAL else ()

    def outputs(given, *past):
        out, present = run(network, given, past)
        return out, *present

    assert torch.autograd.gradcheck(outputs, (given, *past), fast_mode=True)
