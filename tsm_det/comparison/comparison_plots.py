"""Plots of a comparison: AP50 by arm and seed, by part of the test set, by frames since the start of a video."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsm_det.png import arm_colours, rendered, write_png


class PlottedArm(NamedTuple):
    """An arm in the plots; its label names the seeds where those of the arms differ."""

    name: str
    label: str
    colour: str


def draw_plots(content: dict, out: Path) -> list[Path]:
    """Write the plots of a :meth:`tsm_det.comparison.summary.Summary.collect`; return their paths."""
    parts = {kind: [part for part in content['parts'] if part['kind'] == kind]
             for kind in dict.fromkeys(part['kind'] for part in content['parts'])}
    if 'all' not in parts:
        return []
    arms = plotted_arms(content, parts['all'][0])
    seeds = sorted({run['seed'] for run in content['runs']})
    figures = {'ap50_by_arm_and_seed': _by_arm(arms, seeds, parts['all'][0]),
               'ap50_by_frame': _by_frame(arms, parts['frame'])}
    for kind, chosen in parts.items():
        if kind not in ('all', 'frame', 'stability'):
            figures[f'ap50_by_{kind}'] = _by_part(arms, content['baseline'], [*chosen, *parts['all']], kind)
    return [write_png(rendered(figure), out / f'{name}.png') for name, figure in figures.items()]


def plotted_arms(content: dict, every: dict) -> list[PlottedArm]:
    """The arms of a comparison, of which ``every`` is the part of all frames."""
    colours = arm_colours((arm['name'] for arm in content['arms']), content['baseline'])
    seeds = {name: sorted(every['arms'].get(name, {'seeds': ()})['seeds']) for name in colours}
    differ = len(set(map(tuple, seeds.values()))) > 1
    shown = {name: f' (seeds: {", ".join(map(str, of_arm)) or "none"})' if differ else ''
             for name, of_arm in seeds.items()}
    return [PlottedArm(name, name + shown[name], colour) for name, colour in colours.items()]


def _by_arm(arms: Sequence[PlottedArm], seeds: Sequence[int], every: dict) -> Figure:
    """A row per arm: a mark per seed, a bar for the mean, and its value."""
    figure = Figure(figsize=(8, 1.4 + 0.6 * len(arms)), dpi=130, layout='constrained')
    axes = figure.add_subplot(xlabel='AP50', title='AP50 by arm and seed (bar: mean)')
    markers = dict(zip(seeds, cycle('osD^vPX*'), strict=False))
    for place, (name, _, colour) in enumerate(arms):
        if spread := every['arms'].get(name):
            axes.plot([spread['mean']] * 2, [place - 0.3, place + 0.3], color=colour, linewidth=3)
            axes.annotate(f'{spread["mean"]:.3f}', (spread['mean'], place - 0.3), ha='center', va='bottom', fontsize=9,
                          xytext=(0, 2), textcoords='offset points')
            for seed, value in spread['seeds'].items():
                axes.plot(value, place, markers[seed], color=colour, markersize=7, alpha=0.75)
    for seed, marker in markers.items():
        axes.plot([], [], marker, color='grey', label=f'seed {seed}')
    _rows(axes, [arm.label for arm in arms])
    axes.legend(loc='center left', bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def _by_part(arms: Sequence[PlottedArm], baseline: str, parts: Sequence[dict], kind: str) -> Figure:
    """Left AP50, a tick per seed and a diamond for the mean; right the differences with their intervals."""
    figure = Figure(figsize=(11, 1.8 + len(parts) * (0.3 + 0.16 * len(arms))), dpi=130, layout='constrained')
    left, right = figure.subplots(1, 2, sharey=True)
    for row, part in enumerate(parts):
        for place, (name, _, colour) in enumerate(arms):
            height = row + 0.7 * (place + 0.5) / len(arms) - 0.35
            if spread := part['arms'].get(name):
                left.plot(spread['mean'], height, 'D', color=colour, markersize=6)
                left.plot(list(spread['seeds'].values()), [height] * len(spread['seeds']), '|', color=colour,
                          markersize=12, markeredgewidth=1.5)
            if difference := part['differences'].get(name):
                right.plot(difference['mean'], height, 'D', color=colour, markersize=6)
                if difference['low'] is not None:
                    right.plot([difference['low'], difference['high']], [height] * 2, color=colour, linewidth=2)
    for _, label, colour in arms:
        left.plot([], [], 'D', color=colour, label=label)
    _rows(left, [f'{part["name"]}\n{part["boxes"]:,} boxes, {part["groups"]} groups' for part in parts])
    left.set(xlabel='AP50', title=f'AP50 by {kind} (diamonds: mean, ticks: seeds)')
    right.axvline(0, color='black', linewidth=1)
    right.grid(axis='x', alpha=0.3)
    right.set(xlabel='difference in AP50', title=f'minus {baseline} on the same seeds, 95 % interval')
    right.tick_params(axis='y', length=0)
    figure.legend(*left.get_legend_handles_labels(), loc='outside lower center', ncols=len(arms), frameon=False)
    return figure


def _by_frame(arms: Sequence[PlottedArm], parts: Sequence[dict]) -> Figure:
    """AP50 in bins of frames since the start of the video: a line per arm, a thin one per seed."""
    figure = Figure(figsize=(8, 5), dpi=130, layout='constrained')
    axes = figure.add_subplot(xlabel='frame, counted from the start of its video', ylabel='AP50',
                              title='AP50 by frames since the start of the video\n(thin: a seed; boxes below)')
    for name, label, colour in arms:
        known = {place: part['arms'][name] for place, part in enumerate(parts) if name in part['arms']}
        for seed in dict.fromkeys(seed for spread in known.values() for seed in spread['seeds']):
            axes.plot(list(known), [spread['seeds'][seed] for spread in known.values()], color=colour, linewidth=0.8,
                      alpha=0.5)
        if known:
            axes.plot(list(known), [spread['mean'] for spread in known.values()], 'o-', color=colour, linewidth=2.2,
                      label=label)
    axes.set_xticks(range(len(parts)), [f'{part["name"]}\n({part["boxes"]:,})' for part in parts])
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def _rows(axes: Axes, labels: Sequence[str]) -> None:
    """Rows from top to bottom."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.45, -0.65)
    axes.grid(axis='x', alpha=0.3)
