"""Which tensors of a checkpoint a network takes."""

import copy
import re

import pytest
import torch

from tests.tiny import tiny_detector, tiny_model_config
from tsm_det.errors import InputError
from tsm_det.models import weights as module
from tsm_det.models.weights import fitted_weights, load_weights


@pytest.fixture(scope='module')
def model():
    return tiny_detector()


@pytest.fixture(scope='module')
def weights():
    return tiny_detector(seed=1).state_dict()


@pytest.fixture
def log(monkeypatch):
    """The logged sentences."""
    said = []
    monkeypatch.setattr(module, 'print_log', lambda message, *_: said.append(message))
    return said


def written(tmp_path, content):
    torch.save(content, tmp_path / 'file.pth')
    return str(tmp_path / 'file.pth')


@pytest.mark.parametrize('rename', [
    'model.{}', 'module.{}', 'detector.{}', 'ema_{}', 'module.model.{}', 'student.net.{}', '_orig_mod.{}'])
def test_a_prefix_is_removed(model, weights, tmp_path, log, rename):
    path = written(tmp_path, {'state_dict': {rename.format(key): weight for key, weight in weights.items()}})
    target = copy.deepcopy(model)
    load_weights(target, path)
    torch.testing.assert_close(target.state_dict(), weights, rtol=0, atol=0)
    assert f'{len(weights)} of {len(weights)} tensors taken from {path}' in log[0] and rename[:-2] in log[0]


@pytest.mark.parametrize('place', ['model', 'ema', 'net'])
def test_weights_may_be_a_dict_of_any_name(model, weights, tmp_path, place):
    target = copy.deepcopy(model)
    load_weights(target, written(tmp_path, {place: dict(weights), 'epoch': 3}))
    torch.testing.assert_close(target.state_dict(), weights, rtol=0, atol=0)


def test_averaged_weights_as_mmdet_2_named_them_are_left_out_beside_the_others(model, weights, tmp_path):
    averaged = {f'ema_{key.replace(".", "_")}': weight + 1 for key, weight in weights.items()}
    target = copy.deepcopy(model)
    load_weights(target, written(tmp_path, {'state_dict': {**weights, **averaged}}))
    torch.testing.assert_close(target.state_dict(), weights, rtol=0, atol=0)
    load_weights(target, written(tmp_path, {'state_dict': averaged}))
    assert torch.equal(target.backbone.conv1.weight, weights['backbone.conv1.weight'] + 1)


def test_two_networks_in_a_file_are_refused(model, weights, tmp_path):
    both = {f'{name}.{key}': weight for name in ('student', 'teacher') for key, weight in weights.items()}
    with pytest.raises(InputError, match=r"'student\.' and 'teacher\.'"):
        load_weights(model, written(tmp_path, {'state_dict': both}))


@pytest.mark.parametrize('change', [
    lambda weights: {f'a.{place}': weight for place, weight in enumerate(weights.values())},
    lambda weights: {key.removeprefix('backbone.'): weight for key, weight in weights.items() if 'backbone' in key},
    lambda weights: {key: weight for key, weight in weights.items() if 'backbone' not in key},
    lambda weights: {key: weight[None] for key, weight in weights.items()}])
def test_weights_of_which_none_fits_the_backbone_are_refused(model, weights, change):
    with pytest.raises(InputError, match=r'file\.pth .*backbone'):
        fitted_weights(model, change(weights), 'file.pth')


def test_weights_that_lack_or_exceed_the_network_are_refused_for_detection(model, weights, tmp_path):
    for changed, key in (({**weights, 'more': torch.zeros(1)}, 'more'),
                         ({key: weights[key] for key in list(weights)[1:]}, next(iter(weights)))):
        with pytest.raises(InputError, match=re.escape(key)):
            load_weights(copy.deepcopy(model), written(tmp_path, {'state_dict': changed}))
        assert fitted_weights(model, changed, 'file.pth')


MEMORY = dict(roi_head=dict(type='MemoryRoIHead', memory=dict(k=6, recent=2, sparse=1, every=2)))
GATE = dict(backbone=dict(operator='gate'))
PLAIN = dict(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))


@pytest.mark.parametrize('temporal', [GATE, MEMORY, MEMORY | PLAIN, MEMORY | GATE])
def test_a_detector_without_operators_takes_the_weights_of_a_temporal_one(temporal, tmp_path):
    weights = tiny_detector(seed=1, **temporal).state_dict()
    plain = tiny_detector(**PLAIN)
    load_weights(plain, written(tmp_path, {'state_dict': weights}))
    shared = {key: weight for key, weight in weights.items() if key in plain.state_dict()}
    torch.testing.assert_close(plain.state_dict(), shared, rtol=0, atol=0)
    assert len(shared) < len(weights)


@pytest.mark.parametrize(('ours', 'theirs', 'key'), [
    ({}, GATE, 'backbone.temporal'), ({}, MEMORY, 'roi_head.memory'), (GATE, MEMORY, 'roi_head.memory'),
    (MEMORY | PLAIN, MEMORY | GATE, 'backbone.temporal'),
    (dict(backbone=dict(shift_stages=())), GATE, 'backbone.temporal')])
def test_a_temporal_detector_refuses_the_weights_of_another_kind(ours, theirs, key, tmp_path):
    with pytest.raises(InputError, match=key):
        load_weights(tiny_detector(**ours), written(tmp_path, {'state_dict': tiny_detector(**theirs).state_dict()}))


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_refused(model, weights, tmp_path, value):
    changed = {key: weight.clone() for key, weight in weights.items()}
    changed['roi_head.bbox_head.fc_cls.bias'][0] = value
    with pytest.raises(InputError, match=r'file\.pth .*roi_head\.bbox_head\.fc_cls\.bias'):
        load_weights(copy.deepcopy(model), written(tmp_path, {'state_dict': changed}))


@pytest.mark.parametrize(('ours', 'theirs'), [(4, 7), (4, 80), (1, 4), (80, 4)])
def test_a_head_of_another_class_count_is_told_both_counts_and_the_key(tmp_path, ours, theirs):
    model, other = (tiny_detector(roi_head=dict(bbox_head=dict(num_classes=count))) for count in (ours, theirs))
    path = written(tmp_path, {'state_dict': other.state_dict()})
    with pytest.raises(InputError) as refusal:
        load_weights(model, path)
    assert f'{theirs} classes' in str(refusal.value) and f' {ours}:' in str(refusal.value)
    assert f'model.roi_head.bbox_head.num_classes to {theirs}' in str(refusal.value)


@pytest.mark.parametrize(('head', 'ours', 'theirs'), [
    ('RetinaHead', 4, 7), ('FCOSHead', 1, 3), ('RTMDetSepBNHead', 4, 80), ('YOLOXHead', 2, 3)])
def test_class_counts_of_dense_heads_are_known(head, ours, theirs):
    from mmdet.registry import MODELS

    tiny_model_config()  # sets the scope

    class Detector(torch.nn.Module):
        def __init__(self, count):
            super().__init__()
            options = dict(in_channels=32, feat_channels=32)
            options |= {'anchor_generator': dict(type='MlvlPointGenerator', offset=0, strides=[8, 16, 32])
                       } if head == 'RTMDetSepBNHead' else {}
            self.bbox_head = MODELS.build(dict(type=head, num_classes=count, **options))
    with pytest.raises(InputError, match=f'{theirs} classes .* {ours}: set model.bbox_head.num_classes to {theirs}'):
        module.check_head(Detector(ours), Detector(theirs).state_dict(), 'file.pth')


def test_boxes_per_class_are_not_taken_for_other_classes(tmp_path):
    model, other = (tiny_detector(roi_head=dict(bbox_head=dict(reg_class_agnostic=flag))) for flag in (True, False))
    with pytest.raises(InputError, match=r'fc_reg\.weight') as refusal:
        load_weights(model, written(tmp_path, {'state_dict': other.state_dict()}))
    assert 'num_classes' not in str(refusal.value)
