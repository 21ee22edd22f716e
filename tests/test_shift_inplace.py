"""The in-place shift is the plain one, bit for bit, and restores what it moved."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from tsm_det import temporal_shift
from tsm_det.shift_inplace import shift_in_place, undo

LAYOUTS = [torch.contiguous_format, torch.channels_last]
sizes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(8, 17), st.integers(1, 4), st.integers(1, 4))


def expected(frames, num_frames, past, num_shifted):
    shifted, present = temporal_shift(frames.unflatten(0, (-1, num_frames)).clone(), past, num_shifted)
    return shifted.flatten(0, 1), present


@settings(max_examples=150)
@given(sizes, st.sampled_from(LAYOUTS), st.booleans(), st.booleans(), st.sampled_from([1, 2, 8]))
def test_it_is_the_temporal_shift_and_is_undone(size, layout, fresh, differentiate, shift_div):
    n, t, c, h, w = size
    frames = torch.randn(n * t, c, h, w).to(memory_format=layout)
    past = None if fresh else torch.randn(n, c // shift_div, h, w)
    before = frames.clone()
    with torch.set_grad_enabled(differentiate):
        shifted, present, change = shift_in_place(frames, t, past, c // shift_div)
    for one, other in zip((shifted, present), expected(before, t, past, c // shift_div), strict=True):
        assert torch.equal(one, other)
    undo(change)
    assert torch.equal(frames, before)
    assert present.untyped_storage().nbytes() == present.numel() * present.element_size()


def test_without_gradients_the_map_is_not_copied():
    frames = torch.randn(1, 16, 4, 4)
    with torch.no_grad():
        assert shift_in_place(frames, 1, None, 2)[0].data_ptr() == frames.data_ptr()
    assert shift_in_place(frames, 1, None, 2)[0].data_ptr() != frames.data_ptr()


@pytest.mark.parametrize('past', [torch.ones(1, 3, 4, 4), torch.ones(1, 2, 4, 5)], ids=['channels', 'size'])
@pytest.mark.parametrize('num_frames', [1, 3])
def test_a_past_that_does_not_fit_leaves_the_map_alone(past, num_frames):
    frames = torch.randn(num_frames, 16, 4, 4)
    before = frames.clone()
    with pytest.raises(ValueError, match=str(tuple(past.shape)).replace('(', r'\(').replace(')', r'\)')), \
            torch.no_grad():
        shift_in_place(frames, num_frames, past, 2)
    assert torch.equal(frames, before)


@pytest.mark.parametrize(('shape', 'num_frames', 'num_shifted'), [
    ((0, 16, 4, 4), 0, 2), ((1, 16, 4, 4), 1, 0), ((2, 16, 4, 4), 2, 0), ((16, 4, 4), 1, 1)])
def test_no_frames_no_channels_and_no_batch_are_refused(shape, num_frames, num_shifted):
    with pytest.raises(ValueError), torch.no_grad():
        shift_in_place(torch.randn(shape), num_frames, None, num_shifted)


@pytest.mark.parametrize('num_frames', [1, 3])
def test_a_past_of_another_type_is_converted(num_frames):
    frames, past = torch.randn(num_frames, 16, 4, 4), torch.randn(1, 2, 4, 4).double()
    wanted = expected(frames, num_frames, past.float(), 2)[0]
    with torch.no_grad():
        shifted, present, _ = shift_in_place(frames, num_frames, past, 2)
    assert torch.equal(shifted, wanted)
    assert present.dtype == torch.float32


def test_a_map_whose_elements_share_memory_is_left_alone():
    frames = torch.randn(1, 16, 1, 1).expand(1, 16, 4, 4)
    before = frames.clone()
    with torch.no_grad():
        shifted, _, change = shift_in_place(frames, 1, None, 2)
    assert change is None
    assert torch.equal(frames, before)
    assert torch.equal(shifted, expected(before, 1, None, 2)[0])


@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('reader', ['convolution', 'sum', 'present only'])
def test_gradients_are_those_of_slices_and_a_concatenation(layout, reader):
    frames = torch.randn(2 * 3, 16, 4, 4, dtype=torch.double).to(memory_format=layout).requires_grad_()
    past = torch.randn(2, 2, 4, 4, dtype=torch.double, requires_grad=True)
    conv = torch.nn.Conv2d(16, 3, 3, dtype=torch.double)

    def read(shifted, present):
        losses = {'convolution': (conv(shifted) ** 2).sum() + present.sum(), 'sum': shifted.sum(),
                  'present only': (present ** 2).sum()}
        return losses[reader] + (frames ** 3).sum()  # the identity path beside it
    ours = torch.autograd.grad(read(*shift_in_place(frames, 3, past, 2)[:2]), [frames, past], materialize_grads=True)
    clip = frames.unflatten(0, (2, 3))
    delayed = torch.cat([past.unsqueeze(1), clip[:, :-1, :2]], dim=1)
    slow = torch.cat([delayed, clip[:, :, 2:]], dim=2).flatten(0, 1)
    theirs = torch.autograd.grad(read(slow, clip[:, -1, :2]), [frames, past], materialize_grads=True)
    assert_close(ours, theirs)


def test_a_compiled_reader_sees_the_same():
    frames, past = torch.randn(2, 16, 4, 4), torch.randn(1, 2, 4, 4)

    @torch.compile(backend='eager', fullgraph=True)
    def read(frames, past):
        shifted, present, _ = shift_in_place(frames, 2, past, 2)
        return shifted * 2, present
    with torch.no_grad():
        shifted, present = read(frames, past)
    for one, other in zip((shifted / 2, present), expected(frames, 2, past, 2), strict=True):
        assert torch.equal(one, other)
