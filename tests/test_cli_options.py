"""Options of a config as they are typed."""

import argparse

import pytest

from tsm_det.cli import CfgOptions, parse_options
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
