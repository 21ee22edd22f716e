"""Laws of the RoI memory: by itself in double precision, and in a detector."""

import copy
import pickle

import pytest
import torch
from torch.testing import assert_close

from tests.models.families import randomized
from tests.tiny import clip_sample, frame_sample, random_clip, tiny_detector
from tsm_det import StreamBank, map_state
from tsm_det.errors import InputError
from tsm_det.models.clip_samples import frame_numbers
from tsm_det.models.roi_memory import RoIMemory

KEYS = dict(k=3, recent=3, sparse=2, every=4)
SCHEDULES = [KEYS, dict(k=2, recent=1, sparse=3, every=1), dict(k=2, recent=4, sparse=0), dict(k=1, recent=1, sparse=0),
             dict(k=2, recent=2, sparse=3, every=7)]
EACH = pytest.mark.parametrize('keys', SCHEDULES, ids=str)


def made(keys, channels=16, seed=0):
    torch.manual_seed(seed)
    return randomized(RoIMemory(channels, **keys))


def frames(n, t, k, channels=16, queries=5, seed=0):
    """Features, and the best of each frame, of which some are missing, in N-major order."""
    generator = torch.Generator().manual_seed(seed)
    features, best = (torch.randn(n * t, count, channels, generator=generator).double() for count in (queries, k))
    return features, best, torch.rand(n * t, k, generator=generator) < 0.8


def seen_frames(frame, recent, sparse, every):
    """Frames that a frame sees, its own first, as docs/memory.md says it."""
    recents = [frame - back for back in range(recent)]
    return recents + [c for c in range(frame - recent, -1, -1) if c % every == 0][:sparse]


def slow_read(memory, keys, features, best, is_there):
    """One stream by loops: every proposal of every frame attends by itself."""
    outputs, heads = features.clone(), memory.num_heads
    for frame, proposals in enumerate(features):
        seen = seen_frames(frame, keys['recent'], keys['sparse'], keys.get('every', 8))
        for number, proposal in enumerate(proposals):
            query = memory.to_query(proposal).chunk(heads)
            attended = []
            for head in range(heads):
                scores, values = [torch.zeros((), dtype=torch.double)], [torch.zeros_like(query[head])]
                for place, other in enumerate(seen):
                    for token in range(keys['k']):
                        if other >= 0 and is_there[other, token]:
                            key, value = memory.to_token(best[other, token]).chunk(2)
                            scores.append(query[head] @ key.chunk(heads)[head] / len(query[head]) ** 0.5
                                          + memory.age_bias[place, head])
                            values.append(value.chunk(heads)[head])
                weights = torch.stack(scores).softmax(0)
                attended.append(sum(weight * value for weight, value in zip(weights, values, strict=True)))
            outputs[frame, number] += memory.to_output(torch.cat(attended))
    return outputs


@EACH
def test_a_frame_sees_the_frames_of_the_schedule(keys):
    memory = RoIMemory(16, **keys)
    recent, sparse, every = keys['recent'], keys['sparse'], keys.get('every', 8)
    for frame in range(60):
        seen = [frame - age for age in memory.ages(torch.tensor(frame % every)).tolist()]
        assert len(seen) == recent + sparse
        assert [c for c in seen if c >= 0] == [c for c in seen_frames(frame, recent, sparse, every) if c >= 0]


@EACH
@torch.no_grad()
def test_it_equals_attention_by_loops(keys):
    memory, given = made(keys), frames(2, 15, keys['k'])
    output, _ = memory(*given, (2, 15))
    for stream in range(2):
        rows = slice(15 * stream, 15 * stream + 15)
        assert_close(output[rows], slow_read(memory, keys, *(part[rows] for part in given)))


@EACH
@pytest.mark.parametrize('cuts', [[1] * 16, [15, 1], [3, 8, 5]], ids=str)
@torch.no_grad()
def test_a_clip_may_be_cut_anywhere(keys, cuts):
    memory, given = made(keys), frames(2, 16, keys['k'])
    whole, end = memory(*given, (2, 16))
    past, pieces = (None, None), []
    for piece in zip(*(part.unflatten(0, (2, 16)).split(cuts, 1) for part in given), strict=True):
        shape = piece[0].shape[:2]
        output, past = memory(*(part.flatten(0, 1) for part in piece), shape, past)
        pieces.append(output.unflatten(0, shape))
    assert_close(torch.cat(pieces, 1).flatten(0, 1), whole)
    assert_close(past, end)


@torch.no_grad()
def test_frames_with_numbers_see_those_of_the_schedule_and_no_later_one():
    memory, (features, best, is_there) = made(KEYS), frames(1, 8, 3)
    numbers = [0, 1, 8, 9, 16, 17, 17, 17]
    output, _ = memory(features, best, is_there | True, (1, 8), numbers=torch.tensor([numbers]))
    for place in range(8):
        other = best.clone()
        other[place] += 1
        changed = memory(features, other, is_there | True, (1, 8), numbers=torch.tensor([numbers]))[0] != output
        assert [t for t in range(8) if changed[t].any()] == [
            t for t in range(place, 8) if numbers[place] in seen_frames(numbers[t], 3, 2, 4)]


@torch.no_grad()
def test_streams_in_a_batch_equal_streams_alone_at_different_ages():
    memory, (one, two) = made(KEYS), (frames(1, 9, 3, seed=seed) for seed in (1, 2))
    _, old = memory(*(part[:5] for part in one), (1, 5))
    past = tuple(torch.cat([tensor, torch.zeros_like(tensor)]) for tensor in old)
    output, present = memory(*(torch.cat([a[5:], b[:4]]) for a, b in zip(one, two, strict=True)), (2, 4), past)
    alone_pasts = ([part[5:] for part in one], old), ([part[:4] for part in two], (None, None))
    for row, (given, state) in enumerate(alone_pasts):
        alone, end = memory(*given, (1, 4), state)
        assert_close(output[4 * row:4 * row + 4], alone)
        assert_close(tuple(tensor[row:row + 1] for tensor in present), end)


@torch.no_grad()
def test_shapes_are_constant_and_numbers_small_over_1000_steps():
    memory, past = made(KEYS), (None, None)
    features, best, is_there = frames(1, 1000, 3)
    for t in range(1000):
        _, past = memory(features[t:t + 1], best[t:t + 1], is_there[t:t + 1], (1, 1), past)
        assert [tuple(tensor.shape) for tensor in past] == [(1, 4, 3, 9), (1, 1)]
        assert past[1].item() == (t + 1) % 4
        assert all(tensor.untyped_storage().nbytes() == tensor.numel() * 8 for tensor in past)
    written = torch.cat([memory.to_token(best), torch.ones_like(best[..., :1])], dim=2) * is_there[..., None]
    assert_close(past[0][0], written[seen_frames(1000, 3, 2, 4)[1:]])


def test_every_weight_and_past_tokens_have_a_gradient():
    memory, (features, best, is_there) = made(KEYS), frames(1, 12, 3)
    best.requires_grad_()
    output, _ = memory(features, best, is_there, (1, 12))
    assert all(gradient.abs().max() > 0
               for gradient in torch.autograd.grad(output.square().mean(), memory.parameters(), retain_graph=True))
    output[11].square().mean().backward()
    changed = [c for c in range(12) if best.grad[c].abs().max() > 0]
    assert changed == sorted(seen_frames(11, 3, 2, 4))


@pytest.mark.parametrize('wrong', [
    dict(k=0), dict(recent=0), dict(sparse=-1), dict(every=0), dict(num_heads=3), dict(num_heads=-4), dict(num_heads=0),
    dict(reduction=0), dict(k=1.5), dict(recent=2.5), dict(every=2.5)], ids=str)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match='memory'):
        RoIMemory(16, **wrong)


def test_a_past_of_another_schedule_is_refused():
    past = made(KEYS)(*frames(1, 2, 3), (1, 2))[1]
    with pytest.raises(ValueError, match='past is'):
        made(dict(k=3, recent=4, sparse=2))(*frames(1, 2, 3), (1, 2), past)


def detector(**changes):
    return tiny_detector(roi_head=dict(type='MemoryRoIHead', memory=KEYS), **changes)


def assert_alike(one, other, px=1e-3):
    assert len(one) == len(other)
    for mine, theirs in zip(one, other, strict=True):
        mine, theirs = mine.pred_instances, theirs.pred_instances
        assert len(mine) == len(theirs) > 0
        assert_close(mine.bboxes, theirs.bboxes, rtol=0, atol=px)
        assert_close(mine.scores, theirs.scores, rtol=0, atol=1e-4)


def assert_equal(one, other):
    for mine, theirs in zip(one, other, strict=True):
        assert all(torch.equal(mine.pred_instances[key], theirs.pred_instances[key])
                   for key in ('bboxes', 'scores', 'labels'))


@pytest.mark.parametrize('cuts', [[1] * 9, [2, 6, 1]], ids=str)
@torch.no_grad()
def test_a_stream_of_a_detector_equals_the_clip_and_streams_do_not_mix(cuts):
    model, clip = detector(), random_clip(2, 9)
    whole, end = model.detect(clip, [frame_sample(k, video) for video in range(2) for k in range(9)])
    past, pieces, first = None, [[], []], 0
    for piece in clip.split(cuts, dim=1):
        numbers = range(first, first := first + piece.shape[1])
        found, past = model.detect(piece, [frame_sample(k, video) for video in range(2) for k in numbers], past)
        for video in range(2):
            pieces[video] += found[video * len(numbers):][:len(numbers)]
    assert_alike(pieces[0] + pieces[1], whole)
    map_state(lambda a, b: assert_close(a, b, rtol=1e-4, atol=1e-4) or a, past, end)
    for video in range(2):
        alone, _ = model.detect(clip[video:video + 1], [frame_sample(k) for k in range(9)])
        assert_alike(alone, whole[9 * video:9 * video + 9])


@torch.no_grad()
def test_a_frame_changes_detections_beyond_the_reach_of_the_shift_and_never_those_before():
    model = detector(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))
    clip, samples = random_clip(1, 9), [frame_sample(k) for k in range(9)]
    other = clip.clone()
    other[:, 4] = random_clip(1, 1, seed=9)[:, 0]
    one, two = (model.detect(given, samples)[0] for given in (clip, other))
    changed = [t for t in range(9)
               if not torch.equal(one[t].pred_instances.scores, two[t].pred_instances.scores)]
    assert changed == [t for t in range(9) if 4 in seen_frames(t, 3, 2, 4)]


def test_clips_of_a_batch_count_their_frames_by_steps_of_their_own():
    ids = [[0, 5, 50, 55], [3, 4, 11, 12], [8, 8, 8, 8], [0, 0, 4, 8]]
    numbers = frame_numbers([frame_sample(number) for clip in ids for number in clip], 4)
    assert numbers.tolist() == [[0, 1, 10, 11], [0, 1, 8, 9], [0, 0, 0, 0], [0, 0, 1, 2]]
    assert frame_numbers([frame_sample(number) for number in (4, 9)], 2).tolist() == [[0], [0]]


def test_segments_of_a_clip_have_the_features_of_clips_and_one_memory():
    clip, boxes, losses = random_clip(2, 4), torch.tensor([[8.0, 8.0, 40.0, 44.0]]), {}
    samples = [clip_sample([0, 1, 8, 9], video, boxes=boxes) for video in range(2)]
    for sample in samples:
        for k, frame in enumerate(sample.video_data_samples):
            frame.set_metainfo(dict(segment=k // 2))
    halves = [clip_sample(numbers, video, boxes=boxes) for video in range(2) for numbers in ([0, 1], [8, 9])]
    for name, model in (('plain', tiny_detector()), ('memory', detector())):
        for given, inputs in ((samples, clip), (halves, clip.reshape(4, 2, *clip.shape[2:]))):
            torch.manual_seed(3)
            losses.setdefault(name, []).append(model.train().loss(inputs, given)['loss_cls'])
    assert torch.equal(*losses['plain'])
    assert not torch.equal(*losses['memory'])


@torch.no_grad()
def test_copies_pickles_and_the_bank_carry_the_memory():
    model, clip = detector(streams=dict(capacity=2)), random_clip(2, 6)
    expected, past = model.detect(clip, [frame_sample(k, video) for video in range(2) for k in range(6)])
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        found, _ = other.detect(clip, [frame_sample(k, video) for video in range(2) for k in range(6)])
        assert_equal(found, expected)
        assert other.roi_head.memory is not model.roi_head.memory
    bank = StreamBank(2)
    bank.hold(['a', 'b'], [5, 5], [(64, 64)] * 2, past)
    alone, reasons = bank.recall(['b'], [6], [(64, 64)])
    assert reasons == [None]
    assert torch.equal(alone.memory[0], past.memory[0][1:])
    joined, _ = bank.recall(['new', 'b'], [0, 6], [(64, 64)] * 2)
    assert joined.memory[0][0].abs().max() == 0 and torch.equal(joined.memory[1][1:], past.memory[1][1:])


@torch.no_grad()
def test_the_runners_stream_continues_the_memory():
    model, clip, past = detector(), random_clip(1, 4), None
    for k in range(4):
        [held] = model.predict(clip[:, k:k + 1], [clip_sample([k])])
        [sample], past = model.detect(clip[:, k:k + 1], [frame_sample(k)], past)
        assert_equal([sample], held.video_data_samples)


def test_a_state_file_continues_the_stream_and_a_plain_one_has_no_memory(tmp_path):
    from tests.export.conftest import frames as images
    from tests.export.conftest import make_detector

    one, two = (make_detector(roi_head=dict(type='MemoryRoIHead', memory=KEYS)) for _ in range(2))
    pictures = images(6)
    for image in pictures[:4]:
        one(image)
    one.save_state(tmp_path / 'state')
    two.load_state(tmp_path / 'state')
    for image in pictures[4:]:
        assert_equal([one(image)], [two(image)])
    other = make_detector(roi_head=dict(type='MemoryRoIHead', memory={**KEYS, 'every': 5}))
    with pytest.raises(InputError, match='another|other'):
        other.load_state(tmp_path / 'state')
    plain = make_detector()
    plain(pictures[0])
    plain.save_state(tmp_path / 'plain')
    [stream] = torch.load(tmp_path / 'plain')['streams']
    assert set(stream['state']) == {'backbone', 'neck'}


def test_direction_both_is_refused():
    with pytest.raises(InputError, match="direction='both'"):
        detector(backbone=dict(direction='both'), neck=dict(direction='both'))
