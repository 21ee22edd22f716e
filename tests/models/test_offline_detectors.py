"""Laws of every registered detector with the bi-directional shift."""

import pytest
import torch
from torch.testing import assert_close

from tests.models.test_detectors import DETECTORS, boxes_of, build, losses_of
from tests.tiny import clip_sample, random_clip, tiny_detector
from tsm_det.errors import InputError
from tsm_det.windows import windows

BOTH = dict(backbone=dict(direction='both'), neck=dict(direction='both'))


def assert_near(found, expected):
    """Equal but for the rounding of another batch size."""
    for one, other in zip(found, expected, strict=True):
        assert_close(one.bboxes, other.bboxes, rtol=0, atol=1e-3)
        assert_close(one.scores, other.scores, rtol=0, atol=1e-4)
        assert torch.equal(one.labels, other.labels)


@pytest.mark.parametrize('name', DETECTORS)
@torch.no_grad()
def test_detections_in_windows_are_those_of_the_whole_video(name):
    model = build(name, **BOTH)
    if hasattr(model, 'rpn_head'):
        model.rpn_head.test_cfg.max_per_img = 20  # or the box heads take most of the time
    length = model.margin + 5
    clip, found = random_clip(1, length), []
    for window, keep in windows(range(length), 3, model.margin):
        samples, _ = model.detect(clip[:, window], [clip_sample(window)], keep=keep)
        assert [sample.frame_id for sample in samples] == window[keep]
        found += boxes_of(samples)
    whole = boxes_of(model.detect(clip, [clip_sample(range(length))])[0])
    assert_near(found, whole)
    assert sum(map(len, whole)) > 0


@pytest.mark.parametrize('name', DETECTORS)
def test_a_training_step_of_a_clip_gives_finite_gradients(name):
    model = build(name, **BOTH).train()
    model.parse_losses(losses_of(name, model, clip=True))[0].backward()
    gradients = [parameter.grad for parameter in model.backbone.parameters() if parameter.requires_grad]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize(('keys', 'margin', 'direction'), [
    (BOTH, 9, 'both'),
    (dict(backbone=dict(direction='both')), 9, 'both'),
    (dict(neck=dict(direction='both', shift_at='inner')), 9, 'both'),
    (dict(backbone=dict(direction='both'), neck=dict(shift_levels=())), 8, 'both'),
    (dict(backbone=dict(shift_stages=()), neck=dict(direction='both')), 1, 'both'),
    (dict(backbone=dict(direction='both', shift_stages=()), neck=dict(shift_levels=())), 0, 'past'),
    ({}, 9, 'past')])
@torch.no_grad()
def test_a_frame_changes_frames_up_to_the_margin_away_whatever_the_directions(keys, margin, direction):
    detector = tiny_detector(**keys).double()
    assert (detector.margin, detector.direction) == (margin, direction)
    clip = random_clip(1, 2 * margin + 3).double()
    other = clip.clone()
    other[:, margin + 1] = random_clip(1, 1, seed=9)[:, 0]
    changed = [any(not torch.equal(one[k], two[k]) for one, two in zip(
        detector.extract_clip(clip)[0], detector.extract_clip(other)[0], strict=True)) for k in range(clip.shape[1])]
    if direction == 'both':
        assert changed[0] is changed[-1] is False
        assert changed[1] or changed[-2]
    if keys is BOTH:
        assert all(changed[1:-1])


@torch.no_grad()
def test_two_clips_in_a_batch_do_not_mix_and_keep_their_own_frames():
    detector, clip = tiny_detector(**BOTH), random_clip(2, 4)
    together, _ = detector.detect(clip, [clip_sample(range(4), 1), clip_sample(range(4), 2)], keep=slice(1, 3))
    assert [(sample.video_id, sample.frame_id) for sample in together] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    for i in range(2):
        alone, _ = detector.detect(clip[i:i + 1], [clip_sample(range(4))])
        assert_near(boxes_of(together[2 * i:2 * i + 2]), boxes_of(alone[1:3]))


@torch.no_grad()
def test_keeping_frames_of_a_stream_leaves_its_state_alone():
    detector, clip = tiny_detector(), random_clip(1, 3)
    kept, present = detector.detect(clip, [clip_sample(range(3))], keep=slice(2, 3))
    whole, expected = detector.detect(clip, [clip_sample(range(3))])
    assert_near(boxes_of(kept), boxes_of(whole[2:]))
    assert all(map(torch.equal, present.backbone + present.neck, expected.backbone + expected.neck))


@torch.no_grad()
def test_a_runner_that_gives_single_frames_is_refused():
    with pytest.raises(InputError, match=r'tools/test\.py'):
        tiny_detector(**BOTH).predict(random_clip(1, 1), [clip_sample([0])])


@torch.no_grad()
def test_a_detector_of_recordings_continues_no_clip():
    detector, clip, samples = tiny_detector(**BOTH), random_clip(1, 1), [clip_sample([0])]
    with pytest.raises(InputError, match="direction='past'"):
        detector.detect(clip, samples, detector.detect(clip, samples)[1])


@pytest.mark.parametrize(('keys', 'fact'), [
    (dict(window=0), 'window is 0'), (dict(streams=dict(capacity=1, max_gap=0), **BOTH), 'max_gap is 0')])
def test_keys_that_do_not_fit_are_refused(keys, fact):
    with pytest.raises(InputError, match=fact):
        tiny_detector(**keys)
