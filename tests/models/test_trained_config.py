"""A config that contradicts the one in a checkpoint is said."""

import sys

import pytest

from tsm_det import config_path
from tsm_det.config import load_config
from tsm_det.models import trained_config as module
from tsm_det.models.trained_config import warn_of_other_config

NAMES = ['tsm_faster_rcnn_r18_synthvid', 'tsm_faster_rcnn_mobilenetv2_thermal', 'tsm_yolox_s_vid', 'tsm_dino_r50_vid',
         'tps_faster_rcnn_swin-t_vid']


@pytest.fixture
def said(monkeypatch):
    texts = []
    monkeypatch.setattr(module, 'print_log', lambda text, *_: texts.append(text))
    return texts


@pytest.mark.parametrize('name', NAMES)
def test_the_config_of_the_training_is_silent(name, said):
    config = load_config(config_path(name))
    warn_of_other_config(load_config(config_path(name)), {'meta': {'cfg': config.pretty_text}}, 'a.pth')
    assert not said
    assert module._model_of(config.pretty_text).keys() == config.model.keys()


@pytest.mark.parametrize(('key', 'value'), [
    ('model.backbone.shift_div', 4), ('model.backbone.type', 'ResNet'),
    ('model.data_preprocessor.mean', [0, 0, 0]), ('model.neck.shift_levels', ())])
def test_what_weights_do_not_show_is_said_with_both_values(key, value, said):
    name = config_path(NAMES[0])
    ours, theirs = load_config(name, {key: value}), load_config(name)
    warn_of_other_config(ours, {'meta': {'cfg': theirs.pretty_text}}, 'a.pth')
    assert len(said) == 1 and key in said[0] and repr(value) in said[0]


@pytest.mark.parametrize(('key', 'value'), [
    ('model.backbone.norm_cfg.type', 'SyncBN'), ('model.backbone.frozen_stages', 2),
    ('model.backbone.norm_eval', False)])
def test_what_matters_in_training_only_is_silent(key, value, said):
    name = config_path('tsm_faster_rcnn_r50_vid')
    ours, theirs = load_config(name, {'model.backbone.norm_cfg.type': 'BN'}), load_config(name, {key: value})
    warn_of_other_config(ours, {'meta': {'cfg': theirs.pretty_text}}, 'a.pth')
    assert not said


def test_a_text_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / 'payload_of_a_text.py').write_text('foo = 1')
    monkeypatch.syspath_prepend(tmp_path)
    text = "model = dict(backbone=dict(type='payload_of_a_text.foo'))"
    warn_of_other_config(load_config(config_path(NAMES[0])), {'meta': {'cfg': text}}, 'a.pth')
    assert 'payload_of_a_text' not in sys.modules


@pytest.mark.parametrize('content', [{}, {'meta': None}, {'meta': {}}, {'meta': {'cfg': 'model = dict('}},
                                     {'meta': {'cfg': 'model = f()'}}, {'meta': {'cfg': 'model = {[1]: 2}'}},
                                     {'meta': {'cfg': f'model = {20_000 * "-"}1'}},
                                     {'meta': {'cfg': "model = dict(type='A')"}}])
def test_a_file_without_a_config_is_silent(content, said):
    warn_of_other_config(load_config(config_path(NAMES[0])), content, 'a.pth')
    assert not said
