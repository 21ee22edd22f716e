"""The shift itself, against a slow loop."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from tsm_det import ShiftState, map_state, temporal_shift
from tsm_det.shift import tensors_of

sizes = st.tuples(*[st.integers(1, 4) for _ in range(5)])


def shift_by_loop(clip, past, num_shifted):
    """The definition, a value at a time: channel c of frame t is that of frame t - 1 when c moves."""
    shifted = clip.clone()
    for n in range(clip.shape[0]):
        for t in range(clip.shape[1]):
            for c in range(num_shifted):
                before = clip[n, t - 1, c] if t else (0 if past is None else past[n, c])
                shifted[n, t, c] = before
    return shifted


@settings(deadline=None, max_examples=100)
@given(sizes, st.data())
def test_each_frame_gets_the_first_channels_of_the_frame_before(size, data):
    num_shifted = data.draw(st.integers(1, size[2]))
    clip = torch.randn(size)
    past = torch.randn(size[0], num_shifted, *size[3:]) if data.draw(st.booleans()) else None
    shifted, present = temporal_shift(clip, past, num_shifted)
    assert torch.equal(shifted, shift_by_loop(clip, past, num_shifted))
    assert torch.equal(present, clip[:, -1, :num_shifted])


@settings(deadline=None, max_examples=100)
@given(sizes, st.data())
def test_a_clip_may_be_cut_anywhere(size, data):
    num_shifted, cut = data.draw(st.integers(1, size[2])), data.draw(st.integers(0, size[1]))
    clip = torch.randn(size)
    whole, end = temporal_shift(clip, None, num_shifted)
    past, pieces = None, []
    for piece in clip.split([cut, size[1] - cut], dim=1):
        if piece.shape[1]:
            shifted, past = temporal_shift(piece, past, num_shifted)
            pieces.append(shifted)
    assert torch.equal(torch.cat(pieces, dim=1), whole)
    assert torch.equal(past, end)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('frames', [1, 3])
def test_a_past_owns_only_its_own_memory(layout, frames):
    clip = torch.randn(frames, 16, 8, 8).to(memory_format=layout).unflatten(0, (1, frames))
    _, present = temporal_shift(clip, None, 2)
    assert present.untyped_storage().nbytes() == present.numel() * present.element_size()
    assert present.untyped_storage().data_ptr() != clip.untyped_storage().data_ptr()


def test_a_past_of_another_dtype_is_read_in_the_clips():
    clip = torch.randn(1, 2, 8, 4, 4)
    shifted, _ = temporal_shift(clip, torch.ones(1, 2, 4, 4, dtype=torch.bfloat16), 2)
    assert shifted.dtype == clip.dtype


@pytest.mark.parametrize(('clip', 'past', 'num_shifted', 'facts'), [
    ((2, 8, 4, 4), None, 1, ['(2, 8, 4, 4)', '(N, T, C, H, W)']),
    ((1, 0, 8, 4, 4), None, 1, ['(1, 0, 8, 4, 4)']),
    ((1, 2, 8, 4, 4), None, 0, ['num_shifted', '0', '8']),
    ((1, 2, 8, 4, 4), None, 9, ['num_shifted', '9', '8']),
    ((1, 2, 8, 4, 4), (1, 1, 4, 5), 1, ['(1, 1, 4, 5)', '(1, 1, 4, 4)']),
    ((1, 2, 8, 4, 4), (2, 1, 4, 4), 1, ['(2, 1, 4, 4)', '(1, 1, 4, 4)']),
])
def test_wrong_input_gets_one_sentence(clip, past, num_shifted, facts):
    with pytest.raises(ValueError) as caught:
        temporal_shift(torch.zeros(clip), None if past is None else torch.zeros(past), num_shifted)
    assert all(fact in str(caught.value) for fact in facts)
    assert '\n' not in str(caught.value)


def test_map_state_walks_all_sites_of_all_states():
    one = ShiftState((torch.ones(1), torch.ones(2)), (torch.ones(3),))
    two = map_state(lambda a, b: a + b, one, one)
    assert isinstance(two, ShiftState)
    assert_close(torch.cat([*two.backbone, *two.neck]), torch.full((6,), 2.0))
    assert all(map(torch.equal, tensors_of(two), [*two.backbone, *two.neck]))


def test_map_state_refuses_states_with_other_sites():
    with pytest.raises(ValueError):
        map_state(lambda a, b: a, ShiftState((torch.ones(1),), ()), ShiftState((), ()))
