"""All numbers of a comparison as plain values, for the JSON file, the page and the plots."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tsm_det.comparison.part_scores import PartScores, Score
from tsm_det.comparison.runs import Run, differing_keys
from tsm_det.evaluation.bootstrap import drawn_groups, paired_difference


class Summary:
    """Scores the finished ``runs`` of all arms and compares them with the arm ``baseline``, by bootstrap ``draws``."""

    def __init__(self, runs: Sequence[Run], baseline: str, parts: PartScores, draws: int) -> None:
        self.runs, self.baseline, self.parts, self.draws = runs, baseline, parts, draws
        self.arms = list(dict.fromkeys(run.arm for run in runs))
        self._weights = drawn_groups(len(parts.names), draws)
        self._scores: dict[Run, dict[tuple[str, str], Score]] = {}
        configs = {arm.name: arm.load(0) for arm in self.arms}
        self._differing = {name: differing_keys(config, configs[baseline]) for name, config in configs.items()}

    def collect(self, latency: dict[str, dict | None]) -> dict:
        """All numbers so far, None where one is undefined; ``latency`` has the JSON of benchmark.py by arm."""
        for run in self.runs:
            if run.state == 'finished' and run not in self._scores:
                self._scores[run] = self.parts.score(run.results, self._weights)
        seeds = {arm.name: {run.seed: self._scores[run] for run in self.runs if run.arm == arm and run in self._scores}
                 for arm in self.arms}
        first = next(iter(self._scores.values()), {})
        return {
            'baseline': self.baseline,
            'test': {'frames': len(self.parts.data.images), 'boxes': len(self.parts.data.annotations),
                     'groups': len(self.parts.names), 'draws': self.draws},
            'arms': [{'name': arm.name, 'config': arm.config, 'options': list(arm.options),
                      'differs_in': self._differing[arm.name], 'seeds': sum(run.arm == arm for run in self.runs),
                      'finished': len(seeds[arm.name]), 'latency': latency.get(arm.name)} for arm in self.arms],
            'parts': [self._part(key, score, seeds) for key, score in first.items() if score.boxes],
            'runs': [{**run.summary(), 'ap50': {'/'.join(key): _number(score.values[0]) for key, score
                                                in self._scores[run].items()} if run in self._scores else None}
                     for run in self.runs]}

    def _part(self, key: tuple[str, str], score: Score, seeds: dict[str, dict[int, dict]]) -> dict:
        values = {arm: {seed: scores[key] for seed, scores in of_seed.items()} for arm, of_seed in seeds.items()}
        baseline = values[self.baseline]
        return {'kind': key[0], 'name': key[1], 'boxes': score.boxes, 'groups': score.groups,
                'arms': {arm: _spread({seed: float(score.values[0]) for seed, score in of_seed.items()})
                         for arm, of_seed in values.items() if of_seed},
                'differences': {arm: _difference(of_seed, baseline) for arm, of_seed in values.items()
                                if arm != self.baseline and of_seed.keys() & baseline.keys()}}


def _spread(values: dict[int, float]) -> dict:
    """Mean and sample standard deviation over seeds; the latter is None for one seed."""
    numbers = list(values.values())
    return {'mean': float(np.mean(numbers)), 'sd': float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None,
            'seeds': values}


def _difference(arm: dict[int, Score], baseline: dict[int, Score]) -> dict:
    """With its interval, unless one group of videos has all boxes: its draws are all alike."""
    seeds = sorted(arm.keys() & baseline.keys())
    difference = paired_difference(*(np.stack([scores[seed].values for seed in seeds]) for scores in (arm, baseline)))
    if arm[seeds[0]].groups < 2:
        difference = difference._replace(low=np.nan, high=np.nan)
    return {**{name: _number(value) for name, value in difference._asdict().items()}, 'seeds': seeds}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
