"""What is taken of each arm, and what it comes to."""

from types import SimpleNamespace

import pytest

from tsm_det.benchmark.interleaving import Call
from tsm_det.benchmark.latency import Samples, compare_latency, latency_ratios
from tsm_det.benchmark.workload import batches_of


def samples_with(wall_ms, busy=1.0, **stages_ms):
    """Samples of calls and their stages; processor time is ``busy`` times that of the clock."""
    samples = Samples(wall_ms=wall_ms, processor_ms=[busy * whole for whole in wall_ms], detections=[1])
    for k, whole in enumerate(wall_ms):
        times = {stage: of_stage[k] for stage, of_stage in stages_ms.items()}
        samples.add_stages(Call('', whole, busy * whole, None), SimpleNamespace(
            times_ms=times, processor_ms={stage: busy * time for stage, time in times.items()}, proposals=[20, 21]))
    return samples


def test_every_timed_call_is_there_with_its_stages(arms, images):
    samples = compare_latency(arms, lambda: batches_of(iter(images), 2), frames=3, warmup=1)
    for of_arm in samples.values():
        lengths = [len(of_arm.wall_ms), len(of_arm.processor_ms), *map(len, of_arm.stages_ms.values()),
                   *map(len, of_arm.stages_processor_ms.values())]
        assert lengths == [3] * 14
        assert of_arm.proposals == [20] * 6
        assert of_arm.detections == [10] * 6
        for wholes, stages in ((of_arm.wall_ms, of_arm.stages_ms), (of_arm.processor_ms, of_arm.stages_processor_ms)):
            for k, whole in enumerate(wholes):
                assert sum(times[k] for times in stages.values()) == pytest.approx(whole)


def test_on_cuda_calls_are_timed_without_waiting_for_the_device_between_stages(arms, images, monkeypatch):
    """Two passes over the same frames; a pass without clocks waits before and after a call only."""
    waits = []
    for module in ('interleaving', 'stages'):
        monkeypatch.setattr(
            f'tsm_det.benchmark.{module}.synchronize', lambda device, module=module: waits.append(module))
    starts = []
    samples = compare_latency(
        {'2d': arms['2d']}, lambda: starts.append(len(waits)) or batches_of(iter(images), 2), 2, 1, 'cuda:0')
    assert len(starts) == 2
    assert set(waits[:starts[1]]) == {'interleaving'}
    assert set(waits[starts[1]:]) == {'interleaving', 'stages'}
    assert [len(samples['2d'].wall_ms), len(samples['2d'].stages_ms['post'])] == [2, 2]


def test_the_rest_of_a_call_is_post_processing():
    summary = samples_with([10.0, 12.0, 11.0], rpn=[1.0, 2.0, 3.0], backbone=[4.0, 4.0, 5.0]).summary()
    assert summary['stages_ms'] == {'backbone': 4.0, 'rpn': 2.0, 'post': 5.0}
    assert list(summary['stages_ms']) == ['backbone', 'rpn', 'post']
    assert summary['proposals'] == [20, 21]


def test_backbone_and_neck_are_compared_frame_by_frame_together():
    arm = samples_with([20.0] * 3, backbone=[1.0, 5.0, 9.0], neck=[9.0, 5.0, 1.0], busy=3)
    baseline = samples_with([10.0] * 3, backbone=[4.0] * 3, neck=[1.0] * 3)
    ratios = latency_ratios({'tsm': arm, '2d': baseline}, 'tsm', '2d')
    assert ratios.keys() == {'whole', 'processor', 'backbone_neck', 'processor_backbone_neck'}
    assert ratios['whole'] == {'median': 2, 'low': 2, 'high': 2}
    assert ratios['backbone_neck'] == {'median': 2, 'low': 2, 'high': 2}
    assert ratios['processor'] == ratios['processor_backbone_neck'] == {'median': 6, 'low': 6, 'high': 6}


def test_where_an_engine_makes_one_call_of_the_convolutions_that_is_compared():
    arm, baseline = samples_with([20.0] * 3, maps=[3.0] * 3), samples_with([10.0] * 3, maps=[2.0] * 3)
    ratios = latency_ratios({'tsm': arm, '2d': baseline}, 'tsm', '2d')
    assert ratios.keys() == {'whole', 'processor', 'maps', 'processor_maps'}
    assert ratios['maps']['median'] == 1.5
