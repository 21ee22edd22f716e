"""The clock of stages: what it sees, and that it leaves no trace."""

import pytest
import torch

from tsm_det.benchmark.stages import StageClock, _stage_methods


def attributes(arm):
    return [(owner, dict(vars(owner))) for owner, *_ in _stage_methods(arm)]


def assert_untouched(before):
    for owner, were in before:
        assert vars(owner).keys() == were.keys()
        assert all(vars(owner)[name] is was for name, was in were.items())


@pytest.mark.parametrize('name', ['tsm', '2d', 'mmdet'])
def test_a_call_tells_its_stages_and_its_proposals(arms, images, name):
    with StageClock(arms[name]) as clock:
        clock(images[:2])
    assert set(clock.times_ms) == {'preprocess', 'backbone', 'neck', 'rpn', 'roi'}
    assert clock.proposals == [20, 20]


def test_each_stage_is_counted_once_for_every_time_it_is_entered(arms, images, ticking):
    """The pipeline runs once an image and the preprocessor once a batch; head and choice of proposals are the RPN."""
    with StageClock(arms['tsm']) as clock:
        clock(images[:2])
    assert clock.times_ms == {'preprocess': 3000, 'backbone': 1000, 'neck': 1000, 'rpn': 2000, 'roi': 2000}
    assert clock.processor_ms == {stage: taken / 2 for stage, taken in clock.times_ms.items()}


def test_a_stage_that_another_one_calls_is_part_of_it(arms, images, ticking):
    """mmdet's backbone within an engine's one call of all convolutions."""
    model = arms['tsm'].model
    model.extract_maps = model.extract_maps  # as an engine puts its own on the instance
    with StageClock(arms['tsm']) as clock:
        model.backbone.forward_clip = clock._timed(model.backbone.forward_clip, 'backbone')
        clock(images[:1])
    assert clock.times_ms == {'preprocess': 2000, 'maps': 1000, 'rpn': 1000, 'roi': 2000}


def test_a_call_starts_from_nothing(arms, images, ticking):
    with StageClock(arms['tsm']) as clock:
        clock(images[:1])
        first = clock.times_ms
        clock(images[1:2])
    assert clock.times_ms == first
    assert clock.proposals == [20]


def test_detections_are_those_without_a_clock(plans, images):
    plain, clocked = plans['tsm'].build(), plans['tsm'].build()
    with StageClock(clocked) as clock:
        for image in images:
            expected, found = plain([image])[0].pred_instances, clock([image])[0].pred_instances
            torch.testing.assert_close(found.bboxes, expected.bboxes, rtol=0, atol=0)
            torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=0)


@pytest.mark.parametrize('name', ['tsm', 'mmdet'])
def test_after_the_block_everything_is_as_it_was(arms, images, name):
    before = attributes(arms[name])
    with StageClock(arms[name]) as clock:
        clock(images[:1])
    assert_untouched(before)


def test_after_an_error_too_and_what_an_engine_put_there_is_put_back(arms, images):
    model = arms['tsm'].model
    model.extract_maps = model.extract_maps
    before = attributes(arms['tsm'])
    with pytest.raises(ValueError, match='uint8'), StageClock(arms['tsm']) as clock:
        clock([images[0].astype(float)])
    assert_untouched(before)
