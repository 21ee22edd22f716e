"""What must hold for any input to the shifted detector."""

import copy

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.model import ExponentialMovingAverage
from torch.testing import assert_close

from tests.tiny import build, clip_sample, frame_sample, random_clip, tiny_detector, tiny_model_config
from tsm_det import ShiftState, map_state

PLACES = [
    dict(neck=dict(shift_at='lateral')),
    dict(neck=dict(shift_at='inner')),
    dict(neck=dict(shift_levels=())),
    dict(backbone=dict(shift_stages=())),
    dict(backbone=dict(shift_stages=(2, 3), shift_every=2), neck=dict(shift_levels=(0, 3))),
    dict(backbone=dict(depth=50), neck=dict(in_channels=[32, 64, 128, 256])),
]


@pytest.fixture(params=PLACES, ids=str)
def detector(request):
    """In double precision, so that other batch sizes may sum in another order and still agree."""
    return tiny_detector(**request.param).double()


def doubles(*args, **kwargs):
    return random_clip(*args, **kwargs).double()


@pytest.fixture(scope='module')
def tsm():
    return tiny_detector()


def run_in_pieces(detector, pieces):
    past, feats = None, []
    for piece in pieces:
        levels, past = detector.extract_clip(piece, past)
        feats.append([level.unflatten(0, piece.shape[:2]) for level in levels])
    return [torch.cat(level, dim=1).flatten(0, 1) for level in zip(*feats, strict=True)], past


@pytest.mark.parametrize('cuts', [[1, 1, 1, 1, 1], [4, 1], [1, 3, 1], [2, 3]], ids=str)
@torch.no_grad()
def test_a_clip_may_be_cut_anywhere(detector, cuts):
    clip = doubles(2, 5)
    whole, end = detector.extract_clip(clip)
    pieces, past = run_in_pieces(detector, clip.split(cuts, dim=1))
    assert_close(pieces, list(whole))
    map_state(assert_close_, past, end)


def assert_close_(one, other):
    assert_close(one, other)
    return one


@torch.no_grad()
def test_the_runners_stream_is_bit_equal_to_the_state_passed_by_hand(tsm):
    clip, past = random_clip(1, 4), None
    found, _ = stream(tiny_detector(), clip, range(4))
    for t in range(4):
        [sample], past = tsm.detect(clip[:, t:t + 1], [frame_sample(t)], past)
        assert torch.equal(sample.pred_instances.bboxes, found[t])


@torch.no_grad()
def test_a_video_of_one_frame_is_a_stream_that_begins_and_ends():
    detector, clip = tiny_detector(), random_clip(1, 2)
    _, reasons = stream(detector, clip[:, :1], [0], video_id=1)
    second, more = stream(detector, clip[:, 1:], [0], video_id=2)
    assert reasons == more == ['new']
    alone, _ = stream(tiny_detector(), clip[:, 1:], [0])
    assert torch.equal(second[0], alone[0])


@torch.no_grad()
def test_the_future_does_not_change_the_past(detector):
    clip = doubles(1, 4)
    other = clip.clone()
    other[:, 3] = doubles(1, 1, seed=9)[:, 0]
    for one, two in zip(detector.extract_clip(clip)[0], detector.extract_clip(other)[0], strict=True):
        assert torch.equal(one[:3], two[:3])


@torch.no_grad()
def test_a_frame_changes_the_frame_after_it(detector):
    clip = doubles(1, 3)
    other = clip.clone()
    other[:, 1] = doubles(1, 1, seed=9)[:, 0]
    one, two = detector.extract_clip(clip)[0][0], detector.extract_clip(other)[0][0]
    assert not torch.equal(one[2], two[2])


@torch.no_grad()
def test_two_streams_in_one_batch_do_not_mix(detector):
    clip = doubles(2, 3)
    together = [level.unflatten(0, (2, 3)) for level in detector.extract_clip(clip)[0]]
    for i in range(2):
        alone = detector.extract_clip(clip[i:i + 1])[0]
        assert_close([level[i] for level in together], list(alone))


@torch.no_grad()
def test_two_interleaved_streams_do_not_mix(detector):
    one, two = doubles(1, 4, seed=1), doubles(1, 4, seed=2)
    alone, _ = run_in_pieces(detector, one.split(1, dim=1))
    past_one = past_two = None
    for t in range(4):
        feats, past_one = detector.extract_clip(one[:, t:t + 1], past_one)
        _, past_two = detector.extract_clip(two[:, t:t + 1], past_two)
        assert all(torch.equal(level, whole[t:t + 1]) for level, whole in zip(feats, alone, strict=True))


@torch.no_grad()
def test_a_stream_joins_running_ones_without_changing_them(detector):
    clip = doubles(2, 4)
    _, past = detector.extract_clip(clip[:1, :2])
    joined = map_state(lambda t: torch.cat([t, torch.zeros_like(t)]), past)
    feats, _ = detector.extract_clip(clip[:, 2:], joined)
    running, _ = detector.extract_clip(clip[:1, 2:], past)
    fresh, _ = detector.extract_clip(clip[1:, 2:])
    for level, old, new in zip(feats, running, fresh, strict=True):
        assert_close(level, torch.cat([old, new]))


def plain_config(config):
    """The same detector as mmdet's own classes."""
    plain = copy.deepcopy(config)
    plain.type, plain.backbone.type, plain.neck.type = 'FasterRCNN', 'ResNet', 'FPN'
    plain.data_preprocessor.type = 'DetDataPreprocessor'
    for part in (plain.backbone, plain.neck):
        for key in [key for key in part if key.startswith('shift_')]:
            part.pop(key)
    return plain


@pytest.mark.parametrize(('depth', 'channels'), [(18, [8, 16, 32, 64]), (50, [32, 64, 128, 256])])
@torch.no_grad()
def test_shifts_off_equals_mmdet_bit_for_bit(depth, channels):
    config = tiny_model_config(
        backbone=dict(shift_stages=(), depth=depth), neck=dict(shift_levels=(), in_channels=channels))
    ours, theirs = build(config), build(plain_config(config))
    theirs.load_state_dict(ours.state_dict())
    images = random_clip(3, 1)[:, 0]
    samples = [frame_sample(k) for k in range(3)]
    assert all(torch.equal(a, b) for a, b in zip(
        ours.extract_feat(images.unsqueeze(1)), theirs.extract_feat(images), strict=True))
    found = ours.predict(images, copy.deepcopy(samples))
    expected = theirs.predict(images, copy.deepcopy(samples))
    streamed, _ = ours.detect(images.unsqueeze(0), samples)
    for one, two, three in zip(found, expected, streamed, strict=True):
        assert len(two.pred_instances)
        for key in ('bboxes', 'scores', 'labels'):
            assert torch.equal(one.pred_instances[key], two.pred_instances[key])
            assert torch.equal(three.pred_instances[key], two.pred_instances[key])


def test_shifts_off_trains_as_mmdet_bit_for_bit():
    config = tiny_model_config(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))
    ours, theirs = build(config).train(), build(plain_config(config)).train()
    theirs.load_state_dict(ours.state_dict())
    clip, boxes = random_clip(1, 3), torch.tensor([[8.0, 8.0, 40.0, 40.0]])
    torch.manual_seed(0)
    losses = ours.loss(clip, [clip_sample(range(3), boxes=boxes)])
    torch.manual_seed(0)
    expected = theirs.loss(clip[0], [frame_sample(k, boxes=boxes) for k in range(3)])
    assert losses.keys() == expected.keys()
    for key in losses:
        assert_close(losses[key], expected[key], rtol=0, atol=0)


@pytest.mark.parametrize('place', PLACES, ids=str)
def test_checkpoint_keys_are_mmdets_both_ways(place):
    config = tiny_model_config(**place)
    ours, theirs = build(config), build(plain_config(config), seed=1)
    for target, source in ((ours, theirs), (theirs, ours)):
        report = target.load_state_dict(source.state_dict(), strict=False)
        assert (report.missing_keys, report.unexpected_keys) == ([], [])


@pytest.mark.parametrize('depth', [18, 50])
@torch.no_grad()
def test_zero_initialised_residuals_stay_zero(depth):
    """A block that starts as the identity is one with a shift in it too, so frames do not see each other."""
    config = tiny_model_config(backbone=dict(depth=depth, zero_init_residual=True))
    backbone = MODELS.build(config.backbone)
    backbone.init_weights()
    plain = MODELS.build(plain_config(config).backbone)
    plain.load_state_dict(backbone.state_dict())
    clip = random_clip(1, 3)
    backbone.eval(), plain.eval()
    for ours, theirs in zip(backbone.forward_clip(clip)[0], plain(clip[0]), strict=True):
        assert torch.equal(ours, theirs)
    last = 'norm3' if depth == 50 else 'norm2'
    assert all(not getattr(block, last).weight.any() for stage in range(4)
               for block in getattr(backbone, f'layer{stage + 1}'))


@torch.no_grad()
def test_a_past_owns_only_its_memory(detector):
    for frames in (1, 3):
        _, past = detector.extract_clip(doubles(1, frames))
        for tensor in (*past.backbone, *past.neck):
            assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


@pytest.mark.parametrize(('place', 'sites'), [
    (dict(neck=dict(shift_at='lateral')), 8 + 1),
    (dict(neck=dict(shift_at='inner')), 8 + 1),
    (dict(neck=dict(shift_levels=())), 8),
    (dict(backbone=dict(shift_stages=(1,))), 2 + 1),
    (dict(backbone=dict(shift_stages=())), 1),
], ids=str)
@torch.no_grad()
def test_effects_of_the_first_frame_vanish_after_exactly_as_many_frames_as_sites(place, sites):
    detector = tiny_detector(**place).double()
    clip = doubles(1, sites + 3)
    other = clip.clone()
    other[:, 0] = doubles(1, 1, seed=9)[:, 0]
    finest = zip(detector.extract_clip(clip)[0][0], detector.extract_clip(other)[0][0], strict=True)
    changed = [not torch.equal(one, two) for one, two in finest]
    assert changed == [True] * (sites + 1) + [False] * 2


def test_gradient_checkpointing_changes_nothing():
    plain, saving = (tiny_detector(backbone=dict(with_cp=cp, norm_eval=True)).train() for cp in (False, True))
    results = []
    for detector in (plain, saving):
        clip = random_clip(2, 3).requires_grad_()
        feats, past = detector.extract_clip(clip)
        feats, past = detector.extract_clip(clip, past)  # through a past that has a gradient
        sum(level.square().mean() for level in feats).backward()
        results.append([*feats, *past.backbone, clip.grad, *(p.grad for p in detector.backbone.parameters())])
    for one, two in zip(*results, strict=True):
        assert torch.equal(one, two)


@torch.no_grad()
def test_detect_is_pure(tsm):
    clip, samples = random_clip(1, 2), [frame_sample(0), frame_sample(1)]
    _, past = tsm.detect(clip, samples)
    before = copy.deepcopy((clip, past, tsm.state_dict()))
    first, _ = tsm.detect(clip, samples, past)
    again, _ = tsm.detect(clip, samples, past)
    assert torch.equal(first[1].pred_instances.bboxes, again[1].pred_instances.bboxes)
    assert all('pred_instances' not in sample for sample in samples)
    assert torch.equal(clip, before[0])
    assert all(torch.equal(a, b) for a, b in zip(past.backbone + past.neck, before[1].backbone + before[1].neck,
                                                 strict=True))
    assert all(torch.equal(a, b) for a, b in zip(tsm.state_dict().values(), before[2].values(), strict=True))


def stream(detector, clip, frame_ids, video_id=1):
    """Boxes of frames predicted one by one as the runner does, and why each started afresh."""
    found, reasons = [], []
    for t, frame_id in enumerate(frame_ids):
        [result] = detector.predict(clip[:, t:t + 1], [clip_sample([frame_id], video_id)])
        found.append(result[0].pred_instances.bboxes)
        reasons.append(result[0].metainfo['reset'])
    return found, reasons


@torch.no_grad()
def test_predicting_frame_by_frame_equals_the_whole_clip():
    detector, clip = tiny_detector(), random_clip(1, 4)
    found, reasons = stream(detector, clip, range(4))
    whole, _ = detector.detect(clip, [clip_sample(range(4))])
    assert reasons == ['new', None, None, None]
    for boxes, sample in zip(found, whole, strict=True):
        assert_close(boxes, sample.pred_instances.bboxes, rtol=0, atol=1e-3)


@torch.no_grad()
def test_a_new_video_a_seek_a_gap_and_a_size_start_afresh():
    detector, clip = tiny_detector(streams=dict(capacity=1, max_gap=2)), random_clip(1, 3)
    afresh, _ = stream(tiny_detector(), clip[:, 2:], [0])
    for last, video, reason in ((3, 2, 'new'), (0, 1, 'seek'), (1, 1, 'seek'), (9, 1, 'gap')):
        detector.streams.clear()
        stream(detector, clip, [0, 1])
        found, reasons = stream(detector, clip[:, 2:], [last], video)
        assert reasons == [reason]
        assert torch.equal(found[0], afresh[0])
    detector.streams.clear()
    stream(detector, clip, [0, 1])
    sample = clip_sample([2])
    sample[0].set_metainfo({'ori_shape': (32, 32)})
    assert detector.predict(clip[:, 2:], [sample])[0][0].metainfo['reset'] == 'size'


@torch.no_grad()
def test_copies_and_averages_carry_no_stream_and_leave_the_original_its_own():
    detector, clip = tiny_detector(), random_clip(1, 4)
    expected, _ = stream(tiny_detector(), clip, range(4))
    stream(detector, clip[:, :2], [0, 1])
    for other in (copy.deepcopy(detector), ExponentialMovingAverage(detector).module):
        assert stream(other, clip[:, :1], [2])[1] == ['new']
    found, reasons = stream(detector, clip[:, 2:], [2, 3])
    assert reasons == [None, None]
    assert torch.equal(found[1], expected[3])
    assert not any('stream' in key or 'past' in key for key in detector.state_dict())


@torch.no_grad()
def test_validation_before_and_after_training_are_alike():
    detector, clip = tiny_detector(), random_clip(1, 3)
    before, _ = stream(detector, clip, range(3))
    detector.train().eval()
    after, reasons = stream(detector, clip, range(3))
    assert reasons == ['new', None, None]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@torch.no_grad()
def test_a_batch_larger_than_the_capacity_and_a_flipped_frame_are_refused(tsm):
    with pytest.raises(ValueError, match='2 streams .* 1'):
        tsm.predict(random_clip(2, 1), [clip_sample([0], 1), clip_sample([0], 2)])
    flipped = clip_sample([0])
    flipped[0].set_metainfo({'flip': True})
    with pytest.raises(ValueError, match='--tta'):
        tsm.predict(random_clip(1, 1), [flipped])


def test_training_steps_lower_the_loss_of_a_clip():
    detector = tiny_detector().train()
    optimizer = torch.optim.SGD(detector.parameters(), lr=0.005)
    clip, samples = random_clip(1, 4), [clip_sample(range(4), boxes=torch.tensor([[8.0, 8.0, 40.0, 40.0]]))]
    totals = []
    for _ in range(8):
        torch.manual_seed(0)
        losses = detector.loss(clip, samples)
        total = sum(sum(v) if isinstance(v, list) else v for k, v in losses.items() if 'loss' in k)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < totals[0]


def test_an_empty_state_is_not_a_past_of_another_network(tsm):
    with pytest.raises(ValueError, match='1 tensors .*network has 8 sites'):
        tsm.extract_clip(random_clip(1, 1), ShiftState((torch.zeros(1),), ()))
