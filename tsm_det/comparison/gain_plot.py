"""Gain over the baseline against difficulty: many comparisons in one picture."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from itertools import count, cycle
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsm_det.errors import InputError
from tsm_det.png import COLOURS, rendered, write_png

_COLUMNS = 2


class GainPoint(NamedTuple):
    """AP50 of the baseline on some frames, and what an arm gains on them, with its 95 % interval if known."""

    name: str
    baseline_arm: str
    baseline: float
    gain: float
    low: float | None
    high: float | None
    seeds: int

    @property
    def excludes_zero(self) -> bool:
        """Whether there is an interval and it excludes zero."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def draw_gain(series: Mapping[str, Sequence[str | os.PathLike]], out: str | os.PathLike,
              subsets: Sequence[str] = (), arms: Sequence[str] = ()) -> list[GainPoint]:
    """Write a PNG with a point per comparison, arm and subset of frames (all frames where there are no subsets).

    Args:
        series: name of a series to the ``results.json`` files of its comparisons, whose folders name the points.
        out: the PNG.
        subsets: names of those to draw; empty: all.
        arms: names of those to draw; empty: all but the baseline.

    Returns the points. Raises InputError when a file is not of a comparison, a name is in none, a series has no point,
    or the PNG cannot be written.
    """
    points = {name: [point for path in paths for point in gain_points(Path(path), subsets, arms)]
              for name, paths in series.items()}
    every = [point for found in points.values() for point in found]
    paths = [Path(path) for series_paths in series.values() for path in series_paths]
    unknown = [*(f'arm {name}' for name in arms if not any(gain_points(path, subsets, [name]) for path in paths)),
               *(f'subset {name}' for name in subsets if not any(point.name.endswith(f' {name}') for point in every)),
               *(f'series {name} with these names' for name, found in points.items() if not found)]
    if unknown:
        raise InputError(f'no results for {", ".join(unknown)}: take names from the table.md beside each results.json')
    figure = _draw(points, arms)
    write_png(rendered(figure), Path(out))
    return every


def _draw(points: Mapping[str, Sequence[GainPoint]], arms: Sequence[str]) -> Figure:
    """A panel per series, with the points of the others in grey."""
    every = [point for found in points.values() for point in found]
    columns = min(_COLUMNS, len(points))
    rows, lines = -(-len(points) // columns), len(points) + len(every)  # of the legend
    figure = Figure(figsize=(5 * columns + 3.5, max(2.6 * rows + 2, 0.5 + 0.19 * lines)), dpi=130,
                    layout='constrained')
    figure.suptitle('Where temporal information pays\n'
                    '(bars: 95 % intervals; filled: they exclude 0; in brackets: seeds; grey: other panels)')
    baselines = ' / '.join(dict.fromkeys(point.baseline_arm for point in every))
    figure.supxlabel(f'AP50 of {baselines} on these frames (left: difficult)')
    figure.supylabel(f'AP50 gained by {" / ".join(arms) or "temporal information"}')
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
    numbers = count(1)
    for (name, found), colour in zip(points.items(), cycle(COLOURS), strict=False):
        axes = next(panels)
        axes.set_title(name, color=colour)
        axes.axhline(0, color='black', linewidth=1)
        axes.margins(x=0.08)
        axes.plot([point.baseline for point in every], [point.gain for point in every], '+', markersize=4,
                  color='lightgrey')
        axes.plot([], [], ' ', label=name)
        from_left = sorted(found, key=lambda point: point.baseline)
        for point, number in zip(found, numbers, strict=False):
            _draw_point(axes, point, number, colour, from_left.index(point) % 2 == 0)
        axes.grid(alpha=0.3)
        axes.tick_params(labelbottom=True)
    for axes in panels:  # without a series
        axes.set_axis_off()
    figure.legend(loc='outside right upper', frameon=False, fontsize=9)
    return figure


def _draw_point(axes: Axes, point: GainPoint, number: int, colour: str, is_left: bool) -> None:
    """Draw a point, with its number on its left or right: neighbours have theirs on different sides."""
    axes.plot(point.baseline, point.gain, 'o', label=f'{number}  {point.name} ({point.seeds})', color=colour,
              markerfacecolor=colour if point.excludes_zero else 'white')
    if point.low is not None:
        axes.plot([point.baseline] * 2, [point.low, point.high], color=colour, linewidth=1.2, alpha=0.7)
    axes.annotate(str(number), (point.baseline, point.gain), xytext=(-5 if is_left else 5, 3),
                  textcoords='offset points', ha='right' if is_left else 'left', fontsize=8, color=colour)


def gain_points(path: Path, subsets: Sequence[str] = (), arms: Sequence[str] = ()) -> list[GainPoint]:
    """The points of one ``results.json``; raise InputError when it is not of a comparison."""
    try:
        content = json.loads(path.read_text())
        by_kind = {kind: [part for part in content['parts'] if part['kind'] == kind] for kind in ('subset', 'all')}
        parts = [part for part in by_kind['subset'] or by_kind['all']
                 if part['kind'] == 'all' or not subsets or part['name'] in subsets]
        drawn = [arm['name'] for arm in content['arms']
                 if arm['name'] != content['baseline'] and (not arms or arm['name'] in arms)]
        return [_point(path.parent.name, arm, len(drawn) > 1, part, content['baseline'])
                for part in parts for arm in drawn if arm in part['differences']]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f'{path} is not results.json of a finished tools/compare.py: {error}') from error


def _point(folder: str, arm: str, names_arm: bool, part: dict, baseline: str) -> GainPoint:
    found = part['differences'][arm]
    name = ' '.join([folder, *[arm] * names_arm, *[part['name']] * (part['kind'] == 'subset')])
    return GainPoint(name, baseline, part['arms'][baseline]['mean'], found['mean'], found['low'], found['high'],
                     len(found['seeds']))
