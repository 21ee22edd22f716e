"""Configs as the tools read them, with what a command line sets in them."""

import pytest
from mmengine.config import Config

from tsm_det.config import config_path, dataset_config, load_config, override
from tsm_det.errors import InputError


@pytest.mark.parametrize('options', [{'steps.9.type': 'X'}, {'steps.first.type': 'X'}, {'size.height': 3}])
def test_a_key_that_leads_nowhere_is_refused(options):
    config = Config({'steps': [{'type': 'A'}], 'size': 5})
    with pytest.raises(InputError, match=f'the options {next(iter(options))} do not fit the config'):
        override(config, options)


def test_a_key_below_none_is_set():
    config = Config({'backbone': {'init_cfg': None, 'depth': 18}})
    override(config, {'backbone.init_cfg.type': 'A', 'backbone.init_cfg.checkpoint': 'x', 'backbone.depth': None})
    assert config.backbone == {'init_cfg': {'type': 'A', 'checkpoint': 'x'}, 'depth': None}


@pytest.mark.parametrize('name', ['schedulers.0.type', 'load_from.x', 'model.parts.0.type', 'model.parts.0'])
def test_none_is_not_taken_for_a_list_nor_at_the_top(name):
    config = Config({'schedulers': None, 'load_from': None, 'model': {'parts': None}})
    with pytest.raises(InputError, match='do not fit the config') as refusal:
        override(config, {name: 'A'})
    assert 'one dict' not in str(refusal.value)


def test_a_config_is_refused_in_one_sentence_for_an_option_that_does_not_fit():
    with pytest.raises(InputError, match='do not fit the config'):
        load_config(config_path('tsm_faster_rcnn_r18_synthvid'), {'test_dataloader.dataset.pipeline.9.type': 'X'})


def test_what_a_config_has_no_dataloader_for_is_refused():
    config = load_config(config_path('_base_/tsm_faster_rcnn_r50_fpn'))
    with pytest.raises(InputError, match=r'tsm_faster_rcnn_r50_fpn.py has no train_dataloader'):
        dataset_config(config, 'train_dataloader')


@pytest.mark.parametrize(('name', 'meant'), [
    ('synthvid', 'retinanet_r18_synthvid'), ('configs/tsm_faster_rcnn_r50_vidd.py', 'tsm_faster_rcnn_r50_vid'),
    ('?', 'tsm_')])
def test_a_missing_config_is_refused_with_names_of_configs(name, meant):
    with pytest.raises(InputError) as refusal:
        load_config(name)
    assert name in str(refusal.value)
    assert meant in str(refusal.value)
