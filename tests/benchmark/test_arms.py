"""The arms of a benchmark do the same work with the same weights."""

import pickle

import pytest
import torch
from mmdet.registry import MODELS

from tests.benchmark.conftest import tiny_config
from tsm_det.benchmark.arms import mmdet_config
from tsm_det.errors import InputError


def test_all_arms_have_the_same_weights_in_any_process(arms, plans):
    tsm, *others = (arm.model.state_dict() for arm in arms.values())
    pickled = pickle.loads(pickle.dumps(plans['tsm'])).build()
    for other in (*others, pickled.model.state_dict()):
        torch.testing.assert_close(other, tsm, rtol=0, atol=0)


def test_mmdets_arm_detects_what_the_2d_arm_detects(arms, images):
    for image in images:
        [ours], [theirs] = arms['2d']([image]), arms['mmdet']([image])
        torch.testing.assert_close(theirs.pred_instances.bboxes, ours.pred_instances.bboxes)
        torch.testing.assert_close(theirs.pred_instances.scores, ours.pred_instances.scores)


def test_mmdets_arm_has_only_mmdets_modules(arms):
    assert {type(module).__module__.split('.')[0] for module in arms['mmdet'].model.modules()} <= {
        'mmdet', 'mmcv', 'mmengine', 'torch'}


def test_mmdet_config_drops_this_projects_types_and_keys():
    config = tiny_config(streams=dict(capacity=3))
    config.model.data_preprocessor.update(type='TargetPastingPreprocessor', prob=0.5, use_det_processor=True)
    before = config.to_dict()
    model = mmdet_config(config).model
    assert config.to_dict() == before
    assert (model.type, model.backbone.type, model.neck.type) == ('FasterRCNN', 'ResNet', 'FPN')
    assert not {'streams', 'shift_div', 'shift_stages', 'shift_levels'} & {*model, *model.backbone, *model.neck}
    assert (model.data_preprocessor.type, model.data_preprocessor.mean) == (
        'DetDataPreprocessor', config.model.data_preprocessor.mean)
    MODELS.build(model.data_preprocessor)


def test_streams_keep_their_state(arms, images):
    first, second = (arms['tsm'](images[:2]) for _ in range(2))
    assert [sample.reset for sample in first + second] == ['new', 'new', None, None]
    assert arms['tsm'].state_bytes() > 0 == arms['2d'].state_bytes()


def test_a_missing_checkpoint_is_refused(plans):
    with pytest.raises(InputError, match='nowhere.pth'):
        plans['mmdet']._replace(checkpoint='nowhere.pth').build()
