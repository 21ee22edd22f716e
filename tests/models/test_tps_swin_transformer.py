"""Laws of Swin with the temporal patch shift, alone and in a detector."""

import copy
import pickle

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from torch.testing import assert_close

from tests.models.families import SMALL_SWIN, build_part, frames
from tests.tiny import build, clip_sample, frame_sample, random_clip, tiny_model_config
from tsm_det import OnlineDetector, config_path, map_state
from tsm_det.errors import InputError
from tsm_det.streams.frame_preparation import image_pipeline

BOTH_DIRECTIONS = pytest.mark.parametrize('direction', ['past', 'both'])


def swin(**keys):
    return build_part('TPSSwinTransformer', **SMALL_SWIN, **keys)


def plain_swin(**keys):
    return build_part('SwinTransformer', **SMALL_SWIN, **keys)


def clip(n, t, seed=0):
    return frames(n * t, seed, size=72).unflatten(0, (n, t))  # in windows of 4 patches: 18 x 18 of them are padded


def stream(network, given, cuts):
    past, pieces = (), []
    for piece in given.split(cuts, dim=1):
        feats, past = network.forward_clip(piece, past)
        pieces.append([level.unflatten(0, piece.shape[:2]) for level in feats])
    return [torch.cat(levels, dim=1).flatten(0, 1) for levels in zip(*pieces, strict=True)], past


@BOTH_DIRECTIONS
@torch.no_grad()
def test_without_sites_and_in_a_first_frame_it_equals_mmdet_bit_for_bit(direction):
    plain, given = plain_swin(), clip(2, 1)
    for keys in (dict(shift_stages=()), dict()):
        network = swin(direction=direction, **keys)
        assert list(network.state_dict()) == list(plain.state_dict())
        network.load_state_dict(plain.state_dict())
        for one, other in zip(network.forward_clip(given)[0], plain(given[:, 0]), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize('cuts', [[1] * 6, [3, 1, 2], [5, 1]], ids=str)
@torch.no_grad()
def test_a_clip_may_be_cut_anywhere(cuts):
    network, given = swin(), clip(2, 6)
    whole, end = network.forward_clip(given)
    pieces, past = stream(network, given, cuts)
    assert_close(pieces, list(whole))
    assert_close(past, end)
    assert len(end) == len(network.sites) == 8


@torch.no_grad()
def test_the_future_does_not_change_the_past_unless_in_both_directions():
    given, other = clip(1, 4), clip(1, 4)
    other[:, 2] = clip(1, 1, seed=5)[:, 0]
    one, two = ([level[0] for level in swin().forward_clip(each)[0]] for each in (given, other))
    assert all(map(torch.equal, one, two))
    one, two = (swin(direction='both').forward_clip(each)[0][0][0] for each in (given, other))
    assert not torch.equal(one, two)


@BOTH_DIRECTIONS
@torch.no_grad()
def test_streams_in_a_batch_do_not_mix(direction):
    network, given = swin(direction=direction), clip(2, 3)
    together, present = network.forward_clip(given)
    for row in range(2):
        alone, past = network.forward_clip(given[row:row + 1])
        assert_close([level[3 * row:3 * row + 3] for level in together], list(alone))
        assert_close([tensor[row:row + 1] for tensor in present], list(past))


@torch.no_grad()
def test_a_frame_is_forgotten_after_one_frame_per_even_and_four_per_odd_block():
    network, given, other = swin(shift_stages=(0, 2)), clip(1, 13), clip(1, 13)
    other[:, 0] = clip(1, 1, seed=5)[:, 0]
    one, two = (network.forward_clip(each)[0] for each in (given, other))
    changed = [[t for t in range(13) if not torch.equal(a[t], b[t])] for a, b in zip(one, two, strict=True)]
    assert changed == [list(range(6)), list(range(6)), list(range(11)), list(range(11))]


@pytest.mark.parametrize(('direction', 'reached'), [('past', range(10, 16)), ('both', range(1, 20))])
@torch.no_grad()
def test_a_frame_changes_the_frames_within_reach(direction, reached):
    network, given, other = swin(direction=direction, shift_stages=(0,)), clip(1, 21), clip(1, 21)
    other[:, 10] = clip(1, 1, seed=5)[:, 0]
    one, two = (network.forward_clip(each)[0][0] for each in (given, other))
    assert [t for t in range(21) if not torch.equal(one[t], two[t])] == list(reached)
    assert network.reach == reached[-1] - 10


@torch.no_grad()
def test_a_past_is_as_large_as_the_page_says():
    def megabytes(height, width, stages, embed_dims=96):
        total = 0
        for stage in stages:
            stride, channels = 4 << stage, embed_dims << stage
            windows = -(-height // stride // 7) * -(-width // stride // 7)
            channel_shift, patch_shift = windows * 49 * channels // 8 + 1, windows * 112 * 2 * channels + 20
            total += 4 * (channel_shift + patch_shift) * (3 if stage == 2 else 1)
        return total / 1e6

    network = build_part('TPSSwinTransformer', embed_dims=24, num_heads=(1, 2, 4, 8)).float()
    _, present = network.forward_clip(torch.zeros(1, 1, 3, 96, 160))
    assert sum(tensor.untyped_storage().nbytes() for tensor in present) / 1e6 == megabytes(96, 160, range(4), 24)
    assert (round(megabytes(608, 1024, range(4))), round(megabytes(608, 1024, (2, 3)))) == (183, 74)


@BOTH_DIRECTIONS
def test_gradient_checkpointing_changes_no_gradient(direction):
    gradients = []
    for with_cp in (False, True):
        network, given = swin(direction=direction, with_cp=with_cp), clip(1, 3).requires_grad_()
        sum((level ** 2).mean() for level in network.forward_clip(given)[0]).backward()
        gradients.append([given.grad, *(parameter.grad for parameter in network.parameters())])
    assert_close(gradients[0], gradients[1], rtol=0, atol=0)
    assert all(gradient.abs().max() > 0 for gradient in gradients[0])


@BOTH_DIRECTIONS
@torch.no_grad()
def test_copies_are_independent(direction):
    network, given = swin(direction=direction), clip(1, 3)
    expected = network.forward_clip(given)
    copies = [copy.deepcopy(network), pickle.loads(pickle.dumps(network))]
    for parameter in network.parameters():
        parameter.zero_()
    for other in copies:
        assert_close(other.forward_clip(given), expected, rtol=0, atol=0)


@torch.no_grad()
def test_autocast_runs_and_stays_near():
    network, given = swin().float(), clip(1, 3).float()
    whole, _ = network.forward_clip(given)
    with torch.autocast('cpu', torch.bfloat16):
        pieces, _ = stream(network, given, 1)
    assert_close(pieces[0].float(), whole[0], rtol=0.1, atol=0.1)


@pytest.mark.parametrize(('keys', 'message'), [
    (dict(direction='future'), 'past, both'), (dict(shift_stages=(4,)), '0 to 3'), (dict(shift_div=13), 'at most 12')])
def test_keys_out_of_range_are_refused(keys, message):
    with pytest.raises(InputError, match=message):
        swin(**keys)


def detector(neck='TSMFPN', **keys):
    config = tiny_model_config(neck=dict(type=neck, in_channels=[24, 48, 96, 192]))
    config.backbone = dict(type='TPSSwinTransformer', **SMALL_SWIN, **keys)
    return build(config)


@pytest.mark.parametrize('neck', ['TSMFPN', 'FPN'])
@torch.no_grad()
def test_a_detector_streams_as_it_runs_a_clip(neck):
    model, given = detector(neck), random_clip(1, 6)
    whole, end = model.detect(given, [clip_sample(range(6))])
    past, samples = None, []
    for t in range(6):
        [sample], past = model.detect(given[:, t:t + 1], [frame_sample(t)], past)
        samples.append(sample)
        [held] = model.predict(given[:, t:t + 1], [clip_sample([t])])
        assert torch.equal(held[0].pred_instances.bboxes, sample.pred_instances.bboxes)
    for one, other in zip(whole, samples, strict=True):
        assert_close(one.pred_instances.bboxes, other.pred_instances.bboxes, rtol=0, atol=1e-3)
        assert_close(one.pred_instances.scores, other.pred_instances.scores, rtol=0, atol=1e-4)
    map_state(lambda one, other: assert_close(one, other, rtol=0, atol=1e-4), past, end)


@torch.no_grad()
def test_a_detector_in_both_directions_refuses_to_stream():
    model, given = detector(direction='both'), random_clip(1, 6)
    _, present = model.detect(given[:, :5], [clip_sample(range(5))])
    with pytest.raises(InputError, match="direction='past'"):
        model.detect(given[:, 5:], [clip_sample([5])], present)


def online_detector(**keys):
    pipeline = Config.fromfile(config_path('tps_faster_rcnn_swin_synthvid')).test_dataloader.dataset.pipeline
    model = detector(**keys)
    model.dataset_meta = {'classes': tuple('abcd')}
    return OnlineDetector(model, Compose(image_pipeline(pipeline)))


def test_a_saved_stream_continues_and_belongs_to_its_keys(tmp_path):
    seen = np.random.default_rng(0).integers(0, 256, (5, 128, 128, 3), dtype=np.uint8)
    one, resumed = online_detector(), online_detector()
    whole = [one(frame).pred_instances for frame in seen[:3]]
    one.save_state(tmp_path / 'state.pt')
    whole += [one(frame).pred_instances for frame in seen[3:]]
    resumed.load_state(tmp_path / 'state.pt')
    for frame, expected in zip(seen[3:], whole[3:], strict=True):
        found = resumed(frame).pred_instances
        assert torch.equal(found.bboxes, expected.bboxes) and torch.equal(found.scores, expected.scores)
    with pytest.raises(InputError, match='other weights, shift'):
        online_detector(shift_div=6).load_state(tmp_path / 'state.pt')
