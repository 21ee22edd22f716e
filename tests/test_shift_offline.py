"""The bi-directional shift, against a slow loop."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsm_det.errors import InputError
from tsm_det.shift_offline import BidirectionalShift, bidirectional_shift, shift_operator

sizes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(2, 8), st.integers(1, 3), st.integers(1, 3))


def shift_by_loop(clip, num_shifted):
    """The definition, a map at a time: channel c of frame t is that of frame t + 1, then of t - 1, else its own."""
    shifted = torch.zeros_like(clip)
    for n in range(clip.shape[0]):
        for t in range(clip.shape[1]):
            for c in range(clip.shape[2]):
                source = t + 1 if c < num_shifted else t - 1 if c < 2 * num_shifted else t
                if 0 <= source < clip.shape[1]:
                    shifted[n, t, c] = clip[n, source, c]
    return shifted


@settings(max_examples=100)
@given(sizes, st.data())
def test_first_channels_come_from_the_next_frame_and_second_ones_from_the_frame_before(size, data):
    num_shifted, clip = data.draw(st.integers(1, size[2] // 2)), torch.randn(size)
    before = clip.clone()
    assert torch.equal(bidirectional_shift(clip, num_shifted), shift_by_loop(before, num_shifted))
    assert torch.equal(clip, before)


def test_a_reversed_clip_swaps_future_and_past():
    clip = torch.randn(2, 5, 8, 3, 3)
    swapped = clip[:, :, [2, 3, 0, 1, 4, 5, 6, 7]]
    backwards = bidirectional_shift(swapped.flip(1), 2).flip(1)
    assert torch.equal(backwards[:, :, [2, 3, 0, 1, 4, 5, 6, 7]], bidirectional_shift(clip, 2))


def test_the_operator_keeps_the_layout_and_leaves_an_empty_present():
    frames = torch.randn(6, 16, 4, 4).to(memory_format=torch.channels_last)
    shifted, present, change = BidirectionalShift(8)(frames, (2, 3), None)
    assert torch.equal(shifted, shift_by_loop(frames.unflatten(0, (2, 3)), 2).flatten(0, 1))
    assert shifted.is_contiguous(memory_format=torch.channels_last)
    assert (present.shape, change) == ((2, 0), None)


def test_gradients_flow_to_the_frames_on_both_sides():
    clip = torch.randn(1, 3, 8, 2, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda clip: bidirectional_shift(clip, 2), clip)


@pytest.mark.parametrize(('shape', 'num_shifted', 'facts'), [
    ((2, 8, 4, 4), 1, ['(2, 8, 4, 4)']), ((1, 0, 8, 4, 4), 1, ['(1, 0, 8, 4, 4)']),
    ((1, 2, 8, 4, 4), 0, ['num_shifted is 0']), ((1, 2, 8, 4, 4), 5, ['num_shifted is 5', 'at most 4'])])
def test_wrong_input_gets_one_sentence(shape, num_shifted, facts):
    with pytest.raises(ValueError) as caught:
        bidirectional_shift(torch.zeros(shape), num_shifted)
    assert all(fact in str(caught.value) for fact in facts)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(('direction', 'shift_div', 'fact'), [('future', 8, "'future'"), ('both', 1, 'shift_div is 1')])
def test_an_unknown_direction_and_too_few_channels_are_refused(direction, shift_div, fact):
    with pytest.raises(InputError, match=fact):
        shift_operator(direction, shift_div)


def test_a_past_is_refused():
    with pytest.raises(InputError, match="direction='past'"):
        BidirectionalShift(8)(torch.randn(1, 8, 2, 2), (1, 1), torch.zeros(1, 0))
