"""Stages are timed without changing the arm, and summaries follow from given times."""

from types import SimpleNamespace

import pytest
import torch

from tsm_det.benchmark.latency import ArmSamples, StageClock, compare_latency, latency_ratios, stage_methods
from tsm_det.benchmark.timing import TimedCall
from tsm_det.benchmark.workload import batches_of


def attributes(arm):
    return [(owner, dict(vars(owner))) for owner, *_ in stage_methods(arm)]


def assert_untouched(before):
    for owner, were in before:
        assert vars(owner).keys() == were.keys()
        assert all(vars(owner)[name] is was for name, was in were.items())


@pytest.mark.parametrize('name', ['tsm', '2d', 'mmdet'])
def test_a_call_has_stages_and_proposals_and_the_arm_is_restored(arms, images, name):
    before = attributes(arms[name])
    with StageClock(arms[name]) as clock:
        clock(images[:2])
    assert set(clock.times_ms) == {'preprocess', 'backbone', 'neck', 'rpn', 'roi'}
    assert clock.proposals == [20, 20]
    assert_untouched(before)


def test_stages_add_up_all_their_calls_and_each_call_starts_from_zero(arms, images, ticking):
    """The pipeline runs once per image, the preprocessor once per batch; the RPN stage has two methods."""
    with StageClock(arms['tsm']) as clock:
        for _ in range(2):
            clock(images[:2])
    assert clock.times_ms == {'preprocess': 3000, 'backbone': 1000, 'neck': 1000, 'rpn': 2000, 'roi': 2000}
    assert clock.cpu_ms == {stage: time_ms / 2 for stage, time_ms in clock.times_ms.items()}
    assert clock.proposals == [20, 20]


def test_a_stage_called_by_another_stage_is_part_of_it(arms, images, ticking):
    """As the backbone inside an engine's single call of backbone and neck."""
    model = arms['tsm'].model
    model.extract_clip = model.extract_clip  # engines set it on the instance
    with StageClock(arms['tsm']) as clock:
        model.backbone.forward_clip = clock._timed(model.backbone, 'forward_clip', 'backbone')
        clock(images[:1])
    assert clock.times_ms == {'preprocess': 2000, 'maps': 1000, 'rpn': 2000, 'roi': 2000}


def test_an_engine_that_detects_in_one_call_has_one_stage(arms, images, ticking):
    model = arms['tsm'].model
    model.detect = model.detect
    with StageClock(arms['tsm']) as clock:
        clock(images[:1])
    assert clock.times_ms == {'preprocess': 2000, 'network': 1000}


def test_a_clock_does_not_change_detections(plans, images):
    plain, clocked = plans['tsm'].build(), plans['tsm'].build()
    with StageClock(clocked) as clock:
        for image in images:
            expected, detections = plain([image])[0].pred_instances, clock([image])[0].pred_instances
            torch.testing.assert_close(detections.bboxes, expected.bboxes, rtol=0, atol=0)
            torch.testing.assert_close(detections.scores, expected.scores, rtol=0, atol=0)


def test_the_arm_is_restored_after_an_error_with_an_engines_own_method(arms, images):
    model = arms['tsm'].model
    model.extract_clip = model.extract_clip
    before = attributes(arms['tsm'])
    with pytest.raises(ValueError, match='uint8'), StageClock(arms['tsm']) as clock:
        clock([images[0].astype(float)])
    assert_untouched(before)


def test_every_timed_call_is_sampled_with_its_stages(arms, images):
    for samples in compare_latency(arms, lambda: batches_of(iter(images), 2), frames=3, warmup=1).values():
        assert samples.proposals == [20] * 6
        assert samples.detections == [10] * 6
        for wholes, stages in ((samples.wall_ms, samples.stages_ms), (samples.cpu_ms, samples.stages_cpu_ms)):
            assert len(stages) == 6
            assert [sum(times) for times in zip(*stages.values(), strict=True)] == pytest.approx(wholes)
            assert len(wholes) == 3


def test_cuda_calls_are_timed_without_synchronising_between_stages(arms, images, monkeypatch):
    """The first of two passes over the same frames synchronises before and after a call only."""
    waits, starts = [], []
    monkeypatch.setattr('tsm_det.benchmark.timing._synchronize', waits.append)
    samples = compare_latency(
        {'2d': arms['2d']}, lambda: starts.append(len(waits)) or batches_of(iter(images), 2), 2, 1, 'cuda:0')
    calls = 3
    assert starts == [0, 2 * calls]
    assert len(waits) > 3 * 2 * calls
    assert [len(samples['2d'].wall_ms), len(samples['2d'].stages_ms['post'])] == [2, 2]


def samples_with(wall_ms, busy=1.0, **stages_ms):
    """Samples of calls and their stages; CPU time is ``busy`` times wall-clock time."""
    samples = ArmSamples(wall_ms=wall_ms, cpu_ms=[busy * whole for whole in wall_ms], detections=[1])
    for k, whole in enumerate(wall_ms):
        times = {stage: of_stage[k] for stage, of_stage in stages_ms.items()}
        samples.add_stages(TimedCall('', whole, busy * whole, None), SimpleNamespace(
            times_ms=times, cpu_ms={stage: busy * time for stage, time in times.items()}, proposals=[20, 21]))
    return samples


def test_the_rest_of_a_call_is_post_processing():
    summary = samples_with([10.0, 12.0, 11.0], rpn=[1.0, 2.0, 3.0], backbone=[4.0, 4.0, 5.0]).summary()
    assert list(summary['stages_ms'].items()) == [('backbone', 4.0), ('rpn', 2.0), ('post', 5.0)]
    assert summary['proposals'] == [20, 21]


def test_backbone_and_neck_are_compared_together_call_by_call():
    arm = samples_with([20.0] * 3, backbone=[1.0, 5.0, 9.0], neck=[9.0, 5.0, 1.0], busy=3)
    baseline = samples_with([10.0] * 3, backbone=[4.0] * 3, neck=[1.0] * 3)
    two, six = (dict.fromkeys(('median', 'low', 'high'), number) for number in (2, 6))
    assert latency_ratios(arm, baseline) == {
        'whole': two, 'backbone_neck': two, 'processor': six, 'processor_backbone_neck': six}


def test_maps_are_compared_where_an_engine_joins_the_convolutions():
    ratios = latency_ratios(samples_with([20.0] * 3, maps=[3.0] * 3), samples_with([10.0] * 3, maps=[2.0] * 3))
    assert ratios.keys() == {'whole', 'processor', 'maps', 'processor_maps'}
    assert ratios['maps']['median'] == 1.5
