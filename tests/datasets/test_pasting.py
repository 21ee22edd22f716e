"""Targets in other clips: the truth goes with the pixels, all else stays."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models import TrackDataPreprocessor
from mmdet.registry import MODELS
from mmengine.structures import InstanceData

from tests.tiny import clip_sample
from tsm_det.datasets.pasting import TargetPastingPreprocessor

T = 3


def truth(*targets):
    """Instances of (x1, y1, x2, y2, label, track)."""
    rows = torch.tensor(targets, dtype=torch.float32).reshape(-1, 6)
    return InstanceData(bboxes=rows[:, :4], labels=rows[:, 4].long(), instances_ids=rows[:, 5].long())


def clip_with(video_id, height, width, *paths, ground=100):
    """A flat clip with squares of 10 levels above it that move; each path is (x, y, dx, dy, side, label, track)."""
    clip, sample = torch.full((T, 3, height, width), ground, dtype=torch.uint8), clip_sample(range(T), video_id)
    for t, frame in enumerate(sample.video_data_samples):
        at = [(x + t * dx, y + t * dy, x + t * dx + side, y + t * dy + side, label, track)
              for x, y, dx, dy, side, label, track in paths]
        frame.gt_instances = truth(*at)
        for k, (x1, y1, x2, y2, _, _) in enumerate(at):
            clip[t, :, y1:y2, x1:x2] = ground + 10 * (k + 1)
    return clip, sample


def pasted(*clips, seed=0, **keys):
    torch.manual_seed(seed)
    preprocessor = TargetPastingPreprocessor(**keys)
    out = preprocessor(dict(inputs=[clip for clip, _ in clips], data_samples=[sample for _, sample in clips]), True)
    return out['inputs'], out['data_samples']


paths = st.tuples(st.integers(4, 20), st.integers(4, 20), st.integers(-1, 1), st.integers(-1, 1), st.integers(3, 8))


@settings(max_examples=30)
@given(path=paths, seed=st.integers(0, 1000), height=st.integers(30, 60), width=st.integers(30, 60),
       native=st.booleans())
def test_a_track_keeps_its_path_its_size_its_label_and_its_pixels(path, seed, height, width, native):
    donor = clip_with(1, 48, 48, (*path, 2, 7))
    own = clip_with(2, height, width, *[(12, 12, 0, 0, 4, 1, 3)] * native, ground=50)
    frames, samples = pasted(donor, own, seed=seed)
    offsets = set()
    for t in range(T):
        before, after = own[1][t].gt_instances, samples[1][t].gt_instances
        if len(after) == len(before):  # no free place was found; then in no frame
            offsets.add(None)
            continue
        assert len(after) == native + 1
        assert torch.equal(after.bboxes[:native], before.bboxes)
        assert after.labels.tolist() == [1] * native + [2]
        assert after.instances_ids.tolist() == [3] * native + [4 if native else 1]
        offset = after.bboxes[-1] - donor[1][t].gt_instances.bboxes[0]
        offsets.add(tuple(offset.tolist()))
        x1, y1, x2, y2 = after.bboxes[-1].int().tolist()
        assert (frames[1, t, :, y1:y2, x1:x2] == 60).all()
        untouched = own[0][t].float()
        assert min(x1, y1) >= 2
        box = slice(None), slice(y1 - 2, y2 + 2), slice(x1 - 2, x2 + 2)
        untouched[box] = frames[1, t, :, :height, :width][box]
        assert torch.equal(frames[1, t, :, :height, :width], untouched)
    assert len(offsets) == 1
    assert native or None not in offsets


def test_each_clip_gets_the_targets_of_all_others_and_no_pasted_one_again():
    clips = [clip_with(k, 64, 64, (20, 20, 1, 0, 4, k, 1)) for k in range(3)]
    _, samples = pasted(*clips)
    for k, sample in enumerate(samples):
        for frame in sample.video_data_samples:
            assert frame.gt_instances.labels.tolist() == [k, *({0, 1, 2} - {k})]
            assert frame.gt_instances.instances_ids.tolist() == [1, 2, 3]


@given(seed=st.integers(0, 1000), step=st.sampled_from([0, 1, 9]))
@settings(max_examples=20)
def test_nothing_is_pasted_over_a_target_in_any_frame(seed, step):
    clips = [clip_with(k, 40, 40, (8, 10, step, 1, 6, k, 1), (8, 25, 0, 1, 5, k, 2)) for k in range(3)]
    _, samples = pasted(*clips, seed=seed)
    for sample in samples:
        for frame in sample.video_data_samples:
            boxes = frame.gt_instances.bboxes
            for k, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
                others = torch.cat([boxes[:k], boxes[k + 1:]])
                assert not ((others[:, 0] < x2) & (others[:, 2] > x1) & (others[:, 1] < y2) & (others[:, 3] > y1)).any()


def test_a_target_that_comes_and_goes_is_pasted_into_its_frames_alone():
    clip, sample = clip_with(1, 40, 40, (10, 10, 0, 0, 5, 2, 1))
    sample[1].gt_instances = truth()
    _, samples = pasted((clip, sample), clip_with(2, 40, 40))
    assert [len(frame.gt_instances) for frame in samples[1].video_data_samples] == [1, 0, 1]


def test_a_target_near_another_is_not_pasted():
    near, far = (10, 10, 0, 0, 5, 0, 1), (30, 30, 0, 0, 5, 0, 3)
    _, samples = pasted(clip_with(1, 60, 60, near, (18, 10, -1, 0, 5, 1, 2), far), clip_with(2, 60, 60))
    for frame in samples[1].video_data_samples:
        assert len(frame.gt_instances) == 1


@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_nothing_is_pasted_over_what_is_ignored_nor_a_piece_of_it_along(seed):
    donor, other = clip_with(1, 40, 40, (10, 10, 0, 0, 6, 0, 1)), clip_with(2, 40, 40)
    for frame in other[1].video_data_samples:
        frame.ignored_instances.bboxes = torch.tensor([[0., 0., 40., 20.]])
    _, samples = pasted(donor, other, seed=seed)
    assert all(frame.gt_instances.bboxes[:, 1].ge(22).all() for frame in samples[1].video_data_samples)
    donor[1][0].ignored_instances.bboxes = torch.tensor([[17., 10., 20., 14.]])
    _, samples = pasted(donor, clip_with(2, 40, 40), seed=seed)
    assert len(samples[1][0].gt_instances) == 0


@pytest.mark.parametrize('path', [
    (0, 10, 1, 0, 5, 0, 1), (34, 10, 1, 0, 5, 0, 1), (10, 1, 0, 0, 5, 0, 1), (10, 32, 0, 1, 5, 0, 1)])
def test_a_target_at_the_edge_in_any_frame_is_not_pasted(path):
    _, samples = pasted(clip_with(1, 40, 40, path), clip_with(2, 40, 40))
    assert [len(frame.gt_instances) for frame in samples[1].video_data_samples] == [0] * T


def test_where_there_is_no_room_nothing_is_pasted():
    large, small = clip_with(1, 60, 60, (10, 10, 1, 0, 30, 0, 1)), clip_with(2, 40, 40)
    _, samples = pasted(large, small)
    assert len(samples[1][0].gt_instances) == 0
    frames, samples = pasted(large, large)  # its own target is in the way
    assert len(samples[1][0].gt_instances) == 1
    assert torch.equal(frames[1], large[0].float())


def test_whole_levels_stay_between_0_and_255():
    frames, _ = pasted(clip_with(1, 40, 40, (10, 10, 0, 0, 5, 0, 1), ground=0), clip_with(2, 40, 40, ground=250))
    assert frames.min() == 0
    assert frames[1].max() == 255


def test_levels_that_augmentation_has_pushed_out_of_range_stay():
    """Clamped around a target, they would be a plate with edges."""
    donor, (clip, sample) = clip_with(1, 40, 40, (10, 10, 0, 0, 5, 0, 1)), clip_with(2, 40, 40)
    clip = torch.where(torch.arange(40) % 2 == 0, -30.25, 350.5).expand(T, 3, 40, 40)
    frames, samples = pasted(donor, (clip, sample))
    for t in range(T):
        x1, y1, x2, y2 = samples[1][t].gt_instances.bboxes[-1].int().tolist()
        expected = clip[t].clone()
        expected[:, y1:y2, x1:x2] += 10
        torch.testing.assert_close(frames[1, t], expected, rtol=0, atol=1e-3)


def test_ground_that_changes_down_and_across_stays_behind():
    donor, sample = clip_with(1, 48, 48, (20, 20, 1, 0, 5, 0, 1))
    down, across = torch.rand(48, 1) * 60, torch.rand(48) * 60
    donor = donor + down + across
    frames, samples = pasted((donor, sample), (clip_with(2, 60, 60)[0].float(), clip_with(2, 60, 60)[1]))
    for t in range(T):
        x1, y1, x2, y2 = samples[1][t].gt_instances.bboxes[-1].int().tolist()
        expected = torch.full((3, 60, 60), 100.)
        expected[:, y1:y2, x1:x2] += 10
        torch.testing.assert_close(frames[1, t], expected, rtol=0, atol=1e-3)


def test_a_glow_around_the_box_comes_along():
    (clip, sample), other = clip_with(1, 40, 40, (10, 10, 0, 0, 5, 0, 1)), clip_with(2, 40, 40)
    clip[:, :, 9, 9:16] = 104
    frames, samples = pasted((clip, sample), other)
    x1, y1, x2, _ = samples[1][0].gt_instances.bboxes[-1].int().tolist()
    assert (frames[1, 0, :, y1 - 1, x1 - 1:x2 + 1] == 104).all()


def test_whole_levels_are_the_nearest_ones():
    donor, sample = clip_with(1, 40, 40, (10, 10, 1, 0, 7, 0, 1))
    donor[:, :, 5:30, 5:30] += torch.randint(0, 9, (T, 3, 25, 25), dtype=torch.uint8)
    other = clip_with(2, 40, 40)
    whole, exact = (pasted((donor, sample), (clip, other[1]))[0] for clip in (other[0], other[0].float()))
    assert (whole[1] - exact[1]).abs().max() <= 0.5
    assert (whole[1] - exact[1]).mean().abs() < 0.01


def test_any_place_where_the_window_fits_is_drawn():
    """A window of 9 px in pictures of 10 px has two places along each side."""
    donor, other = clip_with(1, 9, 9, (2, 2, 0, 0, 5, 0, 1)), clip_with(2, 10, 10)
    places = {tuple(pasted(donor, other, seed=seed)[1][1][0].gt_instances.bboxes[0, :2].tolist()) for seed in range(40)}
    assert places == {(2, 2), (2, 3), (3, 2), (3, 3)}


def test_prob_is_how_often_a_target_is_pasted():
    clips = [clip_with(k, 60, 60, (10, 10, 0, 0, 5, k, 1)) for k in range(2)]
    counts = [len(pasted(*clips, seed=seed, prob=0.25)[1][0][0].gt_instances) - 1 for seed in range(80)]
    assert 8 <= sum(counts) <= 34


def test_what_it_is_given_is_not_changed():
    clips = [clip_with(k, 40, 40, (10, 10, 1, 0, 5, k, 1)) for k in range(2)]
    kept = copy.deepcopy(clips)
    pasted(*clips)
    for (clip, sample), (old, old_sample) in zip(clips, kept, strict=True):
        assert torch.equal(clip, old)
        assert all(torch.equal(sample[t].gt_instances.bboxes, old_sample[t].gt_instances.bboxes) for t in range(T))


@pytest.mark.parametrize(('training', 'prob', 'num_clips'), [(False, 1, 3), (True, 0, 3), (True, 1, 1)])
def test_without_pasting_it_is_mmdets_preprocessor(training, prob, num_clips):
    """Also for targets that no track is known of, and down to the random numbers that are left to others."""
    clips = [clip_with(k, 40, 40, (10, 10, 1, 0, 5, k, 1)) for k in range(num_clips)]
    for _, sample in clips:
        for frame in sample.video_data_samples:
            frame.gt_instances.pop('instances_ids')
    keys = dict(mean=[1, 2, 3], std=[4, 5, 6], bgr_to_rgb=True, pad_size_divisor=32)

    def data():
        return copy.deepcopy(dict(inputs=[clip for clip, _ in clips], data_samples=[sample for _, sample in clips]))

    state = torch.get_rng_state()
    ours = MODELS.build(dict(type='TargetPastingPreprocessor', prob=prob, **keys))(data(), training)
    theirs = TrackDataPreprocessor(**keys)(data(), training)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(ours['inputs'], theirs['inputs'])
    for one, other in zip(ours['data_samples'], theirs['data_samples'], strict=True):
        for t in range(T):
            assert torch.equal(one[t].gt_instances.bboxes, other[t].gt_instances.bboxes)
            assert one[t].metainfo == other[t].metainfo


def test_draws_are_torchs():
    clips = [clip_with(k, 64, 64, (20, 20, 1, 0, 4, k, 1)) for k in range(2)]
    first, again, other = (pasted(*clips, seed=seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_share_that_is_none_is_refused():
    with pytest.raises(ValueError, match='prob is 2'):
        TargetPastingPreprocessor(prob=2)
