"""Configs as the tools read them, with what a command line sets in them."""

import argparse

import pytest
from mmengine.config import Config

from tsm_det.config import CfgOptions, config_path, dataset_config, load_config, override, parse_options
from tsm_det.errors import InputError


def test_options_are_dotted_keys_with_values_as_python_has_them():
    assert parse_options(['a.b=2', 'c=x=y', 'd=[1,2]', 'e=(3,0.5)', 'f=True', 'g=']) == {
        'a.b': 2, 'c': 'x=y', 'd': [1, 2], 'e': (3, 0.5), 'f': True, 'g': ''}


@pytest.mark.parametrize('word', ['score_thr', '0.05', '=3', '--stride=2', ''])
def test_a_word_that_sets_nothing_is_refused(word):
    with pytest.raises(InputError, match=rf'{word!r} is no option: give KEY=VALUE'):
        parse_options(['a=1', word])


def test_brackets_that_stay_open_are_refused():
    with pytest.raises(InputError, match=r'the options a=\(1,2 cannot be read .*: mend the brackets'):
        parse_options(['a=(1,2'])


def test_options_may_be_given_several_times():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions)
    assert parser.parse_args([]).cfg_options is None
    assert parser.parse_args(['--cfg-options', 'a=1', 'b=2', '--cfg-options', 'b=3']).cfg_options == {'a': 1, 'b': 3}


@pytest.mark.parametrize('options', [{'steps.9.type': 'X'}, {'steps.first.type': 'X'}, {'size.height': 3}])
def test_a_key_that_leads_nowhere_is_refused(options):
    config = Config({'steps': [{'type': 'A'}], 'size': 5})
    with pytest.raises(InputError, match=f'the options {next(iter(options))} do not fit the config'):
        override(config, options)


def test_a_config_is_refused_in_one_sentence_for_an_option_that_does_not_fit():
    with pytest.raises(InputError, match='do not fit the config'):
        load_config(config_path('tsm_faster_rcnn_r18_synthvid'), {'test_dataloader.dataset.pipeline.9.type': 'X'})


def test_what_a_config_has_no_dataloader_for_is_refused():
    config = load_config(config_path('_base_/tsm_faster_rcnn_r50_fpn'))
    with pytest.raises(InputError, match=r'tsm_faster_rcnn_r50_fpn.py has no train_dataloader: take a whole one'):
        dataset_config(config, 'train_dataloader')
