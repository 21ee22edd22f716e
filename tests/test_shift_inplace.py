"""The in-place shift is the plain one, bit for bit, and restores what it moved."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from tsm_det import temporal_shift
from tsm_det.shift_inplace import shift_in_place

LAYOUTS = [torch.contiguous_format, torch.channels_last]
sizes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(8, 17), st.integers(1, 4), st.integers(1, 4))


def expected(frames, num_frames, past, shift_div):
    shifted, present = temporal_shift(
        frames.unflatten(0, (-1, num_frames)).clone(), past, frames.shape[1] // shift_div)
    return shifted.flatten(0, 1), present


@settings(max_examples=150)
@given(sizes, st.sampled_from(LAYOUTS), st.booleans(), st.booleans(), st.sampled_from([1, 2, 8]))
def test_it_is_the_temporal_shift_and_puts_everything_back(size, layout, fresh, differentiate, shift_div):
    n, t, c, h, w = size
    maps = [torch.randn(n * t, channels, h, w).to(memory_format=layout) for channels in (c, 2 * c)]
    pasts = [None if fresh else torch.randn(n, frames.shape[1] // shift_div, h, w) for frames in maps]
    before = [frames.clone() for frames in maps]
    with torch.set_grad_enabled(differentiate), shift_in_place(maps, t, pasts, shift_div) as (shifted, presents):
        for frames, inside, past, present in zip(before, shifted, pasts, presents, strict=True):
            for one, other in zip((inside, present), expected(frames, t, past, shift_div), strict=True):
                assert torch.equal(one, other)
    for frames, present, was in zip(maps, presents, before, strict=True):
        assert torch.equal(frames, was)
        assert present.untyped_storage().nbytes() == present.numel() * present.element_size()


def test_without_gradients_no_map_is_copied():
    frames = torch.randn(1, 16, 4, 4)
    with torch.no_grad(), shift_in_place([frames], 1, [None], 8) as ([shifted], _):
        assert shifted.data_ptr() == frames.data_ptr()
    with shift_in_place([frames], 1, [None], 8) as ([shifted], _):
        assert shifted.data_ptr() != frames.data_ptr()


def test_a_block_that_fails_puts_everything_back():
    frames = torch.randn(1, 16, 4, 4)
    before = frames.clone()
    with pytest.raises(KeyError), torch.no_grad(), shift_in_place([frames], 1, [None], 8):
        raise KeyError
    assert torch.equal(frames, before)


@pytest.mark.parametrize(('wrong', 'error', 'said'), [
    (torch.ones(1, 3, 4, 4), ValueError, r'\(1, 3, 4, 4\)'),
    (torch.ones(1, 2, 4, 4, device='meta'), NotImplementedError, 'meta')], ids=['shape', 'no data'])
def test_a_past_that_does_not_fit_puts_back_the_maps_before_it(wrong, error, said):
    maps = [torch.randn(1, 16, 4, 4), torch.randn(1, 16, 4, 4)]
    before = [frames.clone() for frames in maps]
    with pytest.raises(error, match=said), torch.no_grad(), shift_in_place(
            maps, 1, [torch.ones(1, 2, 4, 4), wrong], 8):
        pass
    assert all(map(torch.equal, maps, before))


@pytest.mark.parametrize(('shape', 'num_frames', 'shift_div'), [
    ((0, 16, 4, 4), 0, 8), ((1, 16, 4, 4), 1, 32), ((2, 16, 4, 4), 2, 32), ((16, 4, 4), 1, 4)])
def test_no_frames_no_channels_and_no_batch_are_refused(shape, num_frames, shift_div):
    frames = torch.randn(shape)
    with pytest.raises(ValueError), torch.no_grad(), shift_in_place([frames], num_frames, [None], shift_div):
        pass


@pytest.mark.parametrize('num_frames', [1, 3])
def test_a_past_of_another_type_is_taken_as_the_maps_are(num_frames):
    frames, past = torch.randn(num_frames, 16, 4, 4), torch.randn(1, 2, 4, 4).double()
    wanted = expected(frames, num_frames, past.float(), 8)[0]
    with torch.no_grad(), shift_in_place([frames], num_frames, [past], 8) as ([shifted], [present]):
        assert torch.equal(shifted, wanted)
        assert present.dtype == torch.float32


@pytest.mark.parametrize('maps', [
    [torch.randn(1, 16, 1, 1).expand(1, 16, 4, 4)], [torch.randn(1, 16, 4, 4)] * 2,
    list(torch.randn(2, 16, 4, 4).split(1))], ids=['expanded', 'twice', 'of one batch'])
def test_maps_that_share_memory_are_left_alone(maps):
    before = [frames.clone() for frames in maps]
    with torch.no_grad(), shift_in_place(maps, 1, [None] * len(maps), 8) as (shifted, _):
        assert all(map(torch.equal, maps, before))
        for frames, inside in zip(before, shifted, strict=True):
            assert torch.equal(inside, expected(frames, 1, None, 8)[0])


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
    with shift_in_place([frames], 3, [past], 8) as ([shifted], [present]):
        ours = torch.autograd.grad(read(shifted, present), [frames, past], materialize_grads=True)
    clip = frames.unflatten(0, (2, 3))
    delayed = torch.cat([past.unsqueeze(1), clip[:, :-1, :2]], dim=1)
    slow = torch.cat([delayed, clip[:, :, 2:]], dim=2).flatten(0, 1)
    theirs = torch.autograd.grad(read(slow, clip[:, -1, :2]), [frames, past], materialize_grads=True)
    assert_close(ours, theirs)


def test_a_compiled_reader_sees_the_same():
    frames, past = torch.randn(2, 16, 4, 4), torch.randn(1, 2, 4, 4)

    @torch.compile(backend='eager', fullgraph=True)
    def read(frames, past):
        with shift_in_place([frames], 2, [past], 8) as ([shifted], [present]):
            return shifted * 2, present
    with torch.no_grad():
        shifted, present = read(frames, past)
    for one, other in zip((shifted / 2, present), expected(frames, 2, past, 8), strict=True):
        assert torch.equal(one, other)
