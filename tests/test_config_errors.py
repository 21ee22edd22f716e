"""Configs are programs: their errors are one sentence with file and line."""

import pytest

from tsm_det import OnlineDetector, config_path
from tsm_det.config import load_config, override
from tsm_det.errors import InputError

BASE = f"_base_ = '{config_path('tsm_faster_rcnn_r18_synthvid')}'\n"
READ_BASE = 'from mmengine.config import read_base\nwith read_base():\n    from .{} import *\n'


@pytest.mark.parametrize(('text', 'line'), [
    (f'{BASE}x = 1\ny = undefined\n', 3), ("x = 1\ny = x + 'a'\n", 2), ('x = 1 / 0\n', 1), ('x = 1\ny = (\n', 2),
    ("_base_ = './gone.py'\n", 1), (READ_BASE.format('nowhere'), 3), (f'{READ_BASE.format("there")}\nx = y.z\n', 5),
    ("x = dict(a=1)\nassert x['b']\n", 2), ('def f():\n    return y\nx = f()\n', 2)])
def test_a_config_that_cannot_be_read_is_named_with_the_line(tmp_path, text, line):
    (tmp_path / 'there.py').write_text('a = 1\n')
    (tmp_path / 'mine.py').write_text(text)
    with pytest.raises(InputError) as refusal:
        load_config(str(tmp_path / 'mine.py'))
    assert f'mine.py, line {line}' in str(refusal.value) and '\n' not in str(refusal.value)


def test_the_error_of_a_base_names_the_base(tmp_path):
    (tmp_path / 'base.py').write_text('a = 1\nb = undefined\n')
    (tmp_path / 'mine.py').write_text("_base_ = './base.py'\n")
    with pytest.raises(InputError, match=r'base\.py, line 2'):
        load_config(str(tmp_path / 'mine.py'))


@pytest.mark.parametrize(('text', 'line', 'word'), [
    ("model = dict(\n    backbone=dict(type='Nope'))\n", 3, 'Nope'),
    ('model = dict(\n    backbone=dict(\n        colour=5))\n', 4, 'colour'),
    ('model = dict(backbone=5)\n', 2, 'backbone'), ('x = 1\nmodel = 5\n', 3, 'model')])
@pytest.mark.parametrize('options', [{}, {'data_root': 'elsewhere'}])
def test_what_a_config_describes_wrongly_is_named_with_the_line(tmp_path, text, line, word, options):
    (tmp_path / 'mine.py').write_text(BASE + text)
    config = load_config(str(tmp_path / 'mine.py'), options)
    with pytest.raises(InputError) as refusal:
        OnlineDetector.from_config(config)
    assert f'mine.py, line {line}' in str(refusal.value) and word in str(refusal.value)


def test_an_option_for_an_entry_of_a_dict_is_refused():
    config = load_config(config_path('tsm_faster_rcnn_r18_synthvid'))
    with pytest.raises(InputError, match=r'write param_scheduler\.total_steps'):
        override(config, {'param_scheduler.0.total_steps': 3})


@pytest.mark.parametrize(('name', 'word'), [
    ('optim_wraper.optimizer.lr', 'optim_wrapper'), ('randomnes.seed', 'randomness'),
    ('model.test_cfg.rcnn.scor_thr', 'score_thr')])
def test_an_option_that_nothing_reads_is_refused_with_what_is_like_it(name, word):
    config = load_config(config_path('tsm_faster_rcnn_r18_synthvid'))
    with pytest.raises(InputError, match=f'{name} sets .*{word}'):
        override(config, {name: 1})


def test_an_option_that_may_change_nothing_is_reported(monkeypatch):
    config = load_config(config_path('tsm_faster_rcnn_r18_synthvid'))
    said: list[str] = []
    monkeypatch.setattr('tsm_det.config_spelling.print_log', lambda text, *_: said.append(text))
    override(config, {'lerning_rate': 5, 'max_iters': 5, 'randomness.seed': 1, 'model.test_cfg.rcnn.nms_pre': 5,
                      'train_cfg.val_begin': 3, 'load_from': None, 'runner_type': 'MyRunner',
                      'optim_wrapper.paramwise_cfg.custom_keys': {'norm': 1},
                      'train_dataloader.dataset.data_prefix.img2': 'a'})
    assert [text.split()[2] for text in said] == ['lerning_rate', 'max_iters']


def test_a_missing_key_is_named():
    config = load_config(config_path('tsm_faster_rcnn_r18_synthvid'))
    config.pop('model')
    with pytest.raises(InputError, match='model'):
        OnlineDetector.from_config(config)
