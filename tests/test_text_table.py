"""Tables of text."""

import pytest

from tsm_det.text_table import aligned_table, markdown_table


def test_aligned_table_pads_the_first_column_right_and_the_others_left():
    assert aligned_table([['', 'AP50'], ['tsm', 0.5], ['x', '-']]) == ['     AP50', 'tsm   0.5', 'x       -']


def test_markdown_table_has_a_rule_below_the_head_and_padded_cells():
    assert markdown_table(['arm', 'n'], [['2d', 10], ['tsm', 3]]) == [
        '| arm | n  |', '| --- | -- |', '| 2d  | 10 |', '| tsm | 3  |']
    assert markdown_table(['arm'], []) == ['| arm |', '| --- |']


def test_rows_must_be_equally_long():
    with pytest.raises(ValueError, match='shorter'):
        aligned_table([['a', 'b'], ['c']])
