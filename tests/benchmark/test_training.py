"""Timed training steps are real ones."""

from itertools import cycle

import pytest
import torch

from tests.benchmark.conftest import tiny_config
from tsm_det.benchmark import training as module
from tsm_det.benchmark.arms import ArmPlan
from tsm_det.benchmark.training import TrainingStepArm, clips_of, compare_training, training_plans
from tsm_det.errors import InputError


@pytest.fixture
def clip(plans, images):
    plans['tsm'].build()  # registers the pipeline's transforms
    return next(clips_of(plans['tsm'], cycle(images), 3))


def test_a_clip_has_consecutive_frames_with_boxes_inside(clip):
    [inputs], [sample] = clip['inputs'], clip['data_samples']
    assert inputs.shape == (3, 3, 48, 64)
    for frame in sample.video_data_samples:
        boxes = frame.gt_instances.bboxes
        assert boxes.min() >= 0
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert (boxes[:, 2:] <= torch.tensor([64, 48])).all()
        assert len(set(frame.gt_instances.instances_ids.tolist())) == len(boxes)


def test_every_step_starts_from_the_same_weights_and_computes_gradients(plans, clip):
    lr = plans['tsm'].config.optim_wrapper.optimizer.lr
    arm = TrainingStepArm(plans['tsm'])
    assert plans['tsm'].config.optim_wrapper.optimizer.lr == lr > 0
    before = {name: tensor.clone() for name, tensor in arm.model.named_parameters()}
    first, again = arm(clip), arm(clip)
    assert first > 0
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    torch.testing.assert_close(dict(arm.model.named_parameters()), before, rtol=0, atol=0)
    assert arm.model.training
    moments = [state['exp_avg'] for state in arm.optim_wrapper.optimizer.state.values()]
    assert any(moment.abs().sum() > 0 for moment in moments)


def test_both_arms_are_compared_by_wall_clock_and_cpu_time(plans, images):
    training = compare_training([plans['tsm'], plans['2d']], cycle(images), steps=2, warmup=1, clip_length=2)
    assert [arm['name'] for arm in training['arms']] == ['tsm', '2d']
    assert [len(arm['samples'][clock]) for arm in training['arms'] for clock in ('wall_ms', 'processor_ms')] == [2] * 4
    for key in ('ratio', 'ratio_processor'):
        assert 0 < training[key]['low'] <= training[key]['median'] <= training[key]['high']


def test_the_first_arm_is_also_timed_as_mmdet_trains_and_in_mixed_precision(plans, monkeypatch):
    monkeypatch.setattr(module, 'has_bfloat16_units', lambda device: True)
    first, config = plans['tsm'], plans['tsm'].config
    config.optim_wrapper.optimizer.fused = True
    config.model.roi_head.bbox_roi_extractor.type = 'SeparableRoIExtractor'
    *both, plain, amp = training_plans(first, plans['2d'])
    assert both == [first, plans['2d']]
    assert (plain.name, plain.config.model.roi_head.bbox_roi_extractor.type) == ('tsm plain', 'SingleRoIExtractor')
    assert 'fused' not in plain.config.optim_wrapper.optimizer
    assert (amp.name, amp.config.optim_wrapper.type) == ('tsm amp', 'AmpOptimWrapper')
    assert config.optim_wrapper.type == 'OptimWrapper'
    assert training_plans(plain, plans['2d'])[2].name == 'tsm plain amp'


def test_without_units_mixed_precision_is_not_timed(plans, monkeypatch):
    monkeypatch.setattr(module, 'has_bfloat16_units', lambda device: False)
    assert 'tsm amp' not in [plan.name for plan in training_plans(plans['tsm'], plans['2d'])]


def test_a_loss_that_is_not_finite_is_refused(plans, images, monkeypatch):
    monkeypatch.setattr(TrainingStepArm, '__call__', lambda self, clip: torch.tensor(float('nan')))
    with pytest.raises(InputError, match='(tsm|2d) is not finite'):
        compare_training([plans['tsm'], plans['2d']], cycle(images), steps=1)


def test_engines_are_ignored_in_training():
    assert TrainingStepArm(ArmPlan('tsm', tiny_config(), engine='compiled')).model.training
