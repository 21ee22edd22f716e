"""Colours and labels of arms in all plots: a baseline looks the same everywhere, and other seeds are named."""

import itertools

import pytest
from matplotlib.colors import to_hex

from tsm_det.benchmark.report import draw_benchmark
from tsm_det.comparison import comparison_plots
from tsm_det.comparison.comparison_plots import draw_plots
from tsm_det.png import BASELINE_COLOUR, COLOURS, arm_colours


@pytest.mark.parametrize('count', [1, 2, 5, len(COLOURS) + 3])
def test_the_baseline_keeps_its_colour_wherever_it_stands_and_no_other_arm_has_it(count):
    names = [f'arm {k}' for k in range(count)]
    for place in range(count):
        colours = arm_colours(names, names[place])
        assert [name for name, colour in colours.items() if colour == BASELINE_COLOUR] == [names[place]]
        assert len(set(colours.values())) == min(count, 1 + len(COLOURS))


def content(seeds):
    """A comparison of arms with these seeds each; the last arm is the baseline."""
    *_, baseline = seeds
    part = {'boxes': 7, 'groups': 2, 'differences': {},
            'arms': {name: {'mean': 0.5, 'seeds': dict.fromkeys(of_arm, 0.5)} for name, of_arm in seeds.items()}}
    return {'baseline': baseline, 'arms': [{'name': name} for name in seeds],
            'runs': [{'arm': name, 'seed': seed} for name, of_arm in seeds.items() for seed in of_arm],
            'parts': [{**part, 'kind': 'all', 'name': 'all'}, {**part, 'kind': 'motion', 'name': 'fast'},
                      {**part, 'kind': 'frame', 'name': '0-1'}]}


@pytest.fixture
def draw(monkeypatch, tmp_path):
    """Draw a comparison; gives the figures."""
    def draw(seeds):
        figures = []
        monkeypatch.setattr(comparison_plots, 'rendered', figures.append)
        monkeypatch.setattr(comparison_plots, 'write_png', lambda *_: None)
        draw_plots(content(seeds), tmp_path)
        assert len(figures) == 3
        return figures
    return draw


def texts(figure):
    legends = [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]
    return {text.get_text() for found in (*legends, *(axes.get_yticklabels() for axes in figure.axes))
            for text in (found.get_texts() if hasattr(found, 'get_texts') else found)}


def test_arms_with_other_seeds_say_which(draw):
    for figure in draw({'ours': [0, 1, 2], 'half done': [1], '2d': [0, 1]}):
        assert {'ours (seeds: 0, 1, 2)', 'half done (seeds: 1)', '2d (seeds: 0, 1)'} <= texts(figure)
    for figure in draw({'ours': [0, 1], '2d': [0, 1]}):
        assert {'ours', '2d'} <= texts(figure)


def colours_of(axes, label):
    return {to_hex(line.get_color()).upper() for line in axes.get_lines() if line.get_label() == label}


def test_comparisons_and_benchmarks_draw_the_baseline_in_one_colour(draw):
    for names in itertools.permutations(['ours', 'other', '2d']):
        if names[-1] == '2d':
            _, by_frame, by_motion = draw({name: [0] for name in names})
            assert colours_of(by_frame.axes[0], '2d') == colours_of(by_motion.axes[0], '2d') == {BASELINE_COLOUR}
    arms = [{'name': name, 'fps': 5.0, 'stages_ms': {}, 'p50_ms': 1.0, 'p95_ms': 2.0, 'p99_ms': 3.0,
             'samples': {'wall_ms': [1.0, 2.0]}} for name in ('tsm', '2d', 'mmdet')]
    figure = draw_benchmark({
        'arms': arms, 'by_streams': [{'streams': count, 'arms': arms} for count in (1, 2)], 'ratios': {},
        'machine': {'processor': '', 'device': 'cpu', 'threads': 1}, 'settings': {'engine': 'eager'}})
    assert colours_of(figure.axes[2], '2d') == {BASELINE_COLOUR}
    assert len(colours_of(figure.axes[2], 'tsm') | colours_of(figure.axes[2], 'mmdet') | {BASELINE_COLOUR}) == 3
