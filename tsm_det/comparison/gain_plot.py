"""Gain over the baseline against difficulty: many comparisons in one picture."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from itertools import count, cycle
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from tsm_det.errors import InputError
from tsm_det.png import COLOURS, rendered, write_png


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
    baselines = dict.fromkeys(point.baseline_arm for point in every)
    lines = len(points) + len(every)  # of the legend
    figure = Figure(figsize=(11, max(6, 0.5 + 0.19 * lines)), dpi=130, layout='constrained')
    axes = figure.add_subplot(xlabel=f'AP50 of {" / ".join(baselines)} on these frames (left: difficult)',
                              ylabel=f'AP50 gained by {" / ".join(arms) or "temporal information"}',
                              title='Where temporal information pays\n'
                                   '(bars: 95 % intervals; filled: they exclude 0; in brackets: seeds)')
    axes.axhline(0, color='black', linewidth=1)
    numbers = count(1)
    for (name, found), colour in zip(points.items(), cycle(COLOURS), strict=False):
        axes.plot([], [], ' ', label=name)
        for point, number in zip(found, numbers, strict=False):
            axes.plot(point.baseline, point.gain, 'o', label=f'{number}  {point.name} ({point.seeds})', color=colour,
                      markerfacecolor=colour if point.excludes_zero else 'white')
            if point.low is not None:
                axes.plot([point.baseline] * 2, [point.low, point.high], color=colour, linewidth=1.2, alpha=0.7)
            axes.annotate(str(number), (point.baseline, point.gain), xytext=(5, 3), textcoords='offset points',
                          fontsize=8, color=colour)
    axes.grid(alpha=0.3)
    figure.legend(loc='outside right upper', frameon=False, fontsize=9)
    write_png(rendered(figure), Path(out))
    return every


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
