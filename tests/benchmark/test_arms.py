"""The arms of a comparison do the same work with the same weights."""

import pickle

import pytest
import torch
from mmdet.registry import MODELS

from tests.benchmark.conftest import tiny_2d_config, tiny_config
from tsm_det.benchmark.arms import mmdet_config
from tsm_det.errors import InputError


def test_all_arms_have_the_same_weights(arms):
    tsm, *others = (arm.model.state_dict() for arm in arms.values())
    for other in others:
        torch.testing.assert_close(other, tsm, rtol=0, atol=0)


def test_mmdets_arm_finds_what_the_2d_arm_finds(arms, images):
    for image in images:
        [ours], [theirs] = arms['2d']([image]), arms['mmdet']([image])
        torch.testing.assert_close(theirs.pred_instances.bboxes, ours.pred_instances.bboxes)
        torch.testing.assert_close(theirs.pred_instances.scores, ours.pred_instances.scores)


def test_mmdets_arm_is_mmdets_alone(arms):
    assert {type(module).__module__.split('.')[0] for module in arms['mmdet'].model.modules()} <= {
        'mmdet', 'mmcv', 'mmengine', 'torch'}


def test_keys_that_only_this_project_knows_are_left_out():
    model = mmdet_config(tiny_config(streams=dict(capacity=3))).model
    assert (model.type, model.backbone.type, model.neck.type) == ('FasterRCNN', 'ResNet', 'FPN')
    assert not {'streams', 'shift_div', 'shift_stages', 'shift_levels'} & {*model, *model.backbone, *model.neck}


def test_a_preprocessor_of_clips_becomes_one_of_images():
    config = tiny_config()
    config.model.data_preprocessor.update(type='TargetPastingPreprocessor', prob=0.5, use_det_processor=True)
    found = mmdet_config(config).model.data_preprocessor
    assert (found.type, found.mean) == ('DetDataPreprocessor', config.model.data_preprocessor.mean)
    MODELS.build(found)


def test_the_config_that_mmdets_is_made_of_stays_as_it_was():
    config = tiny_2d_config()
    before = config.to_dict()
    mmdet_config(config)
    assert config.to_dict() == before


def test_streams_of_a_call_are_remembered_until_they_are_forgotten(arms, images):
    fresh, running = (arms['tsm'](images[:2]) for _ in range(2))
    assert [sample.reset for sample in fresh + running] == ['new', 'new', None, None]
    assert arms['tsm'].state_bytes() > 0 == arms['2d'].state_bytes()
    arms['tsm'].forget()
    assert arms['tsm'].state_bytes() == 0


def test_a_plan_can_be_built_in_another_process(plans, images):
    there = pickle.loads(pickle.dumps(plans['tsm'])).build()
    torch.testing.assert_close(there.model.state_dict(), plans['tsm'].build().model.state_dict())


def test_a_missing_checkpoint_is_one_sentence(plans):
    with pytest.raises(InputError, match='missing'):
        plans['mmdet']._replace(checkpoint='nowhere.pth').build()
