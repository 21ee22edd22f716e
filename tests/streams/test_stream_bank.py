"""What the bank remembers, and when it starts a stream over."""

import copy

import pytest
import torch

from tsm_det import ShiftState, StreamBank

SIZE = (48, 64)


def state(*values):
    """One row a value."""
    return ShiftState((torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1),), ())


def hold(bank, frame_ids, **values):
    bank.hold(list(values), [frame_ids] * len(values), [SIZE] * len(values), state(*values.values()))


def recall(bank, frame_id, *stream_ids, size=SIZE):
    past, reasons = bank.recall(list(stream_ids), [frame_id] * len(stream_ids), [size] * len(stream_ids))
    return (past and past.backbone[0].flatten().tolist()), reasons


def test_streams_continue_with_their_states_over_any_gap_and_new_ones_get_zeros():
    bank = StreamBank(capacity=3)
    assert recall(bank, 0, 'a') == (None, ['new'])
    hold(bank, 4, a=1, b=2)
    assert recall(bank, 5, 'b', 'c', 'a') == ([2, 0, 1], [None, 'new', None])
    assert recall(bank, 10**6, 'b') == ([2], [None])


@pytest.mark.parametrize(('frame_id', 'size', 'reason'), [
    (4, SIZE, 'seek'), (5, SIZE, 'seek'), (6, SIZE, None), (8, SIZE, None), (9, SIZE, 'gap'), (6, (64, 48), 'size')])
def test_a_stream_runs_on_or_says_why_not(frame_id, size, reason):
    bank = StreamBank(max_gap=3)
    hold(bank, 5, a=1)
    assert recall(bank, frame_id, 'a', size=size)[1] == [reason]


def test_max_gap_0_starts_every_frame_over():
    bank = StreamBank(max_gap=0)
    for frame_id, reason in enumerate(['new', 'gap', 'gap']):
        assert recall(bank, frame_id, 'a') == (None, [reason])
        hold(bank, frame_id, a=1)


def test_the_least_recently_used_stream_leaves_a_full_bank():
    bank = StreamBank(capacity=2)
    hold(bank, 0, a=1)
    hold(bank, 0, b=2)
    hold(bank, 1, a=3)
    hold(bank, 0, c=4)
    assert recall(bank, 2, 'a') == ([3], [None])
    assert recall(bank, 2, 'b') == (None, ['evicted'])
    hold(bank, 2, b=5)
    assert recall(bank, 3, 'b') == ([5], [None])


def test_a_dropped_stream_starts_over_and_an_unknown_one_is_no_error():
    bank = StreamBank(capacity=2)
    hold(bank, 0, a=1, b=2)
    bank.drop('a')
    bank.drop('never seen')
    assert recall(bank, 1, 'a', 'b') == ([0, 2], ['manual', None])
    assert recall(bank, 1, 'never seen') == (None, ['new'])
    bank.clear()
    assert recall(bank, 1, 'b') == (None, ['new'])


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_a_state_that_is_not_finite_is_let_go(bad):
    bank = StreamBank(capacity=2)
    hold(bank, 0, a=1, b=2)
    hold(bank, 1, a=bad, b=3)
    assert recall(bank, 2, 'a', 'b') == ([0, 3], ['nonfinite', None])


def test_what_is_held_has_no_gradient_and_owns_its_row():
    bank, weight = StreamBank(capacity=2), torch.ones(2, 4, 3, 3, requires_grad=True)
    bank.hold(['a', 'b'], [0, 0], [SIZE, SIZE], ShiftState((weight * 2,), ()))
    past, _ = bank.recall(['b'], [1], [SIZE])
    held = past.backbone[0]
    assert not held.requires_grad
    assert held.untyped_storage().nbytes() == held.numel() * held.element_size()
    assert bank.state_bytes() == 2 * 36 * 4


def test_a_copy_is_empty_and_has_the_same_keys():
    bank = StreamBank(capacity=2, max_gap=3)
    hold(bank, 0, a=1)
    other = copy.deepcopy(bank)
    assert (len(bank), len(other), other.capacity, other.max_gap) == (1, 0, 2, 3)


def test_what_it_says_of_lost_streams_is_bounded():
    bank = StreamBank()
    for i in range(3000):
        bank.hold([i], [0], [SIZE], state(i))
    assert len(bank) == 1
    assert recall(bank, 1, 2998) == (None, ['evicted'])
    assert recall(bank, 1, 0) == (None, ['new'])


@pytest.mark.parametrize(('ids', 'message'), [
    (['a', 'a'], 'twice'), (['a', 'b', 'c'], '3 streams .* 2')])
def test_a_wrong_batch_gets_one_sentence(ids, message):
    bank, rest = StreamBank(capacity=2), ([0] * len(ids), [SIZE] * len(ids))
    with pytest.raises(ValueError, match=message):
        bank.recall(ids, *rest)
    with pytest.raises(ValueError, match=message):
        bank.hold(ids, *rest, state(*range(len(ids))))


@pytest.mark.parametrize(('keys', 'message'), [
    (dict(capacity=0), 'capacity is 0'), (dict(max_gap=-1), 'max_gap is -1')])
def test_a_wrong_key_gets_one_sentence(keys, message):
    with pytest.raises(ValueError, match=message):
        StreamBank(**keys)


def test_what_was_held_may_be_restored_into_another_bank():
    bank, other = StreamBank(capacity=3), StreamBank(capacity=3)
    bank.hold(['a', 'b'], [4, 5], [SIZE] * 2, state(1, 2))
    held = bank.held()
    bank.hold(['a'], [6], [SIZE], state(9))
    other.hold(['c'], [0], [SIZE], state(3))
    other.restore(held)
    past, reasons = other.recall(['a', 'b', 'c'], [5, 6, 1], [SIZE] * 3)
    assert reasons == [None, None, 'new']
    assert past.backbone[0].flatten().tolist() == [1, 2, 0]


def test_a_bank_without_room_for_the_restored_streams_is_unchanged():
    bank, full = StreamBank(capacity=1), StreamBank(capacity=2)
    hold(full, 0, a=1, b=2)
    hold(bank, 0, c=3)
    with pytest.raises(ValueError, match='2 streams .* 1'):
        bank.restore(full.held())
    assert recall(bank, 1, 'c') == ([3], [None])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(('value', 'reason'), [(0.0, None), (float('nan'), 'nonfinite'), (float('-inf'), 'nonfinite')])
def test_nonfinite_values_are_found_in_states_of_any_type_and_large_values_are_not(dtype, value, reason):
    bank = StreamBank()
    past = torch.full((1, 4, 100, 100), 6e4, dtype=dtype)  # their sum is beyond float16
    past[0, 1, 2, 3] = value
    bank.hold(['a'], [0], [SIZE], ShiftState((past,), (past.new_zeros(1, 1, 1, 1),)))
    assert bank.recall(['a'], [1], [SIZE])[1] == [reason]
