"""Gain against difficulty, from the results of several comparisons."""

import json

import cv2
import pytest

from tsm_det.comparison import gain_plot
from tsm_det.comparison.gain_plot import GainPoint, gain_points, rendered


def part(kind, name, means, differences):
    return {'kind': kind, 'name': name, 'arms': {arm: {'mean': mean} for arm, mean in means.items()},
            'differences': {arm: {'mean': mean, 'low': low, 'high': high, 'seeds': [0, 1]}
                            for arm, (mean, low, high) in differences.items()}}


@pytest.fixture
def figures(monkeypatch):
    """The figures drawn in a test."""
    figures = []
    monkeypatch.setattr(gain_plot, 'rendered', lambda figure: figures.append(figure) or rendered(figure))
    return figures


@pytest.fixture
def written(tmp_path):
    def written(folder, parts, arms=('ours', '2d')):
        path = tmp_path / folder / 'results.json'
        path.parent.mkdir()
        path.write_text(json.dumps({'baseline': '2d', 'arms': [{'name': arm} for arm in arms], 'parts': parts}))
        return path
    return written


EVERY = part('all', 'all', {'ours': 0.6, '2d': 0.5}, {'ours': (0.1, 0.05, 0.15)})
DARK = part('subset', 'dark', {'ours': 0.35, 'other': 0.3, '2d': 0.25},
            {'ours': (0.1, 0.0, 0.2), 'other': (0.05, None, None)})
LIGHT = part('subset', 'light', {'ours': 0.7, '2d': 0.7}, {'ours': (0.0, None, None)})


def test_subsets_are_points_and_without_them_all_frames(written):
    assert gain_points(written('noise', [EVERY])) == [GainPoint('noise', '2d', 0.5, 0.1, 0.05, 0.15, 2)]
    assert gain_points(written('night', [EVERY, DARK], ('ours', 'other', '2d'))) == [
        GainPoint('night ours dark', '2d', 0.25, 0.1, 0.0, 0.2, 2),
        GainPoint('night other dark', '2d', 0.25, 0.05, None, None, 2)]
    two = written('two', [EVERY, DARK, LIGHT])
    assert [point.name for point in gain_points(two, ['light', 'other'])] == ['two light']
    assert gain_points(two, ['other']) == []


def test_points_of_chosen_arms_are_named_by_their_frames(written):
    night = written('night', [EVERY, DARK], ('ours', 'other', '2d'))
    assert gain_points(night, arms=['other']) == [GainPoint('night dark', '2d', 0.25, 0.05, None, None, 2)]
    both = gain_points(night, arms=['ours', 'other'])
    assert [point.name for point in both] == ['night ours dark', 'night other dark']


@pytest.mark.parametrize(('filters', 'wrong'), [
    ('--arm theirs', 'theirs'), ('--arm ours theirs', 'theirs'), ('--arm 2d', '2d'), ('--subset fog', 'fog'),
    ('--subset dark fog', 'fog'), ('--subset light', 'light')])
def test_a_name_that_is_in_no_file_is_refused(run, written, tmp_path, filters, wrong):
    one, two = written('noise', [EVERY]), written('night', [DARK])
    status, _, err = run(f'plot_gain --series days {one} --series nights {two} --out {tmp_path}/gain.png {filters}')
    assert status == 2 and wrong in err and 'dark' not in err and 'ours' not in err
    assert not (tmp_path / 'gain.png').exists()


def test_a_series_without_a_point_is_refused(run, written, tmp_path):
    one, two = written('noise', [DARK]), written('night', [LIGHT])
    status, _, err = run(f'plot_gain --series a {one} --series b {two} --subset dark --out {tmp_path}/gain.png')
    assert status == 2 and 'series b' in err and 'series a' not in err
    assert not (tmp_path / 'gain.png').exists()


def test_the_tool_draws_and_prints_every_point(run, written, tmp_path):
    one, two = written('noise', [EVERY]), written('night', [EVERY, DARK])
    status, out, err = run(f'plot_gain --series thermal {one} --series synthetic {two} --out {tmp_path}/gain.png')
    assert status == 0, err
    assert 'noise: 2d 0.500, gain +0.100 [+0.050, +0.150], seeds: 2' in out and 'night dark: 2d 0.250' in out
    assert min(cv2.imread(str(tmp_path / 'gain.png')).shape[:2]) > 500


def test_a_series_may_be_named_twice_and_the_baseline_is_named_as_it_is(run, written, tmp_path, figures):
    one, two = written('noise', [EVERY]), written('night', [EVERY])
    two.write_text(two.read_text().replace('2d', 'shift'))
    status, out, err = run(f'plot_gain --series days {one} --series days {two} --out {tmp_path}/gain.png')
    assert status == 0, err
    assert 'noise: 2d 0.500' in out and 'night: shift 0.500' in out
    assert '2d / shift' in figures[0].get_supxlabel()


@pytest.mark.parametrize('number', [3, 60])
def test_the_legend_fits_into_the_picture(written, tmp_path, figures, number):
    paths = [written(f'night{k}', [EVERY]) for k in range(number)]
    gain_plot.draw_gain({'nights': [str(path) for path in paths]}, str(tmp_path / 'gain.png'))
    [legend] = figures[0].legends
    box = legend.get_window_extent()
    assert box.y0 >= 0 and box.y1 <= figures[0].bbox.height
    assert len(legend.get_texts()) == number + 1


def test_only_points_whose_interval_excludes_zero_are_filled(written, tmp_path, figures):
    gains = [(0.1, 0.05, 0.15), (-0.1, -0.15, -0.05), (0.1, -0.05, 0.2), (0.1, None, None)]
    paths = [written(f'night{k}', [part('all', 'all', {'2d': 0.5}, {'ours': gain})]) for k, gain in enumerate(gains)]
    gain_plot.draw_gain({'nights': [str(path) for path in paths]}, str(tmp_path / 'gain.png'))
    points = [line for line in figures[0].axes[0].lines if line.get_marker() == 'o']
    assert [line.get_markerfacecolor() == 'white' for line in points] == [False, False, True, True]


@pytest.mark.parametrize('number', [1, 2, 3])
def test_each_series_has_a_panel_with_its_points_and_those_of_the_others_in_grey(written, tmp_path, figures, number):
    series = {name: [written(f'{name}{k}', [part('all', 'all', {'2d': 0.1 * k}, {'ours': (0.1, 0, 1)})])
                     for k in range(1, size)] for name, size in zip('abc'[:number], (4, 2, 3), strict=False)}
    points = gain_plot.draw_gain(series, tmp_path / 'gain.png')
    panels = {axes.get_title(): axes for axes in figures[0].axes if axes.axison}
    assert {name: sum(line.get_marker() == 'o' for line in axes.lines) for name, axes in panels.items()} == {
        name: len(files) for name, files in series.items()}
    assert {len(line.get_xdata()) for axes in panels.values() for line in axes.lines
            if line.get_marker() == '+'} == {len(points)}


@pytest.mark.parametrize('line', ['--series thermal {bad}', '--series thermal missing.json', '--series thermal'])
def test_what_is_no_comparison_gets_one_sentence(run, tmp_path, line):
    (tmp_path / 'bad.json').write_text('{}')
    status, out, err = run(f'plot_gain {line.format(bad=tmp_path / "bad.json")} --out {tmp_path}/gain.png')
    assert status == 2 and 'Traceback' not in out + err
    assert not (tmp_path / 'gain.png').exists()
