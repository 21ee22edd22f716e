"""All that a comparison found out, as plain values: what the JSON file holds, and table and plots are made of."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tsm_det.comparison.arms import Arm, differing_keys
from tsm_det.comparison.evidence import KINDS, Evidence, Score
from tsm_det.comparison.run import Run
from tsm_det.evaluation.bootstrap import drawn_groups, paired_difference

Scores = dict[tuple[str, str], Score]
# Kinds of parts in the order they are reported in, around those that a table of videos names.
_FIRST, _LAST = KINDS[:-1], KINDS[-1:]


class Summary:
    """Reads what runs found and puts it together.

    Args:
        arms: all arms.
        baseline: name of the one that the others are compared with.
        evidence: the test set.
        draws: of the bootstrap.
    """

    def __init__(self, arms: Sequence[Arm], baseline: str, evidence: Evidence, draws: int) -> None:
        self.arms, self.baseline, self.evidence, self.draws = arms, baseline, evidence, draws
        self._weights = drawn_groups(len(evidence.names), draws)
        self._scores: dict[Path, Scores] = {}

    def collect(self, runs: Sequence[Run], latency: dict[str, dict]) -> dict:
        """Everything, with None where a number is undefined.

        Args:
            runs: of all arms and seeds.
            latency: what benchmark.py wrote, by arm.
        """
        finished = [run for run in runs if run.state == 'finished']
        for run in finished:
            if run.folder not in self._scores:
                self._scores[run.folder] = self.evidence.score(run.results, self._weights)
        seeds = {arm.name: {run.seed: self._scores[run.folder] for run in finished if run.arm == arm}
                 for arm in self.arms}
        config = {arm.name: arm.load(0) for arm in self.arms}
        truth = self.evidence.truth
        return {
            'baseline': self.baseline,
            'test': {'frames': len(self.evidence.images), 'boxes': len(truth.labels),
                     'groups': len(self.evidence.names), 'draws': self.draws},
            'arms': [{'name': arm.name, 'config': arm.config, 'options': list(arm.options),
                      'differs_in': differing_keys(config[arm.name], config[self.baseline]),
                      'seeds': len([run for run in runs if run.arm == arm]), 'finished': len(seeds[arm.name]),
                      'latency': latency.get(arm.name)} for arm in self.arms],
            'parts': [self._part(key, seeds) for key in self._keys(seeds)],
            'runs': [self._run(run) for run in runs]}

    def _keys(self, seeds: dict[str, dict[int, Scores]]) -> list[tuple[str, str]]:
        """Parts with a box to find, in the order that they are reported in."""
        of_runs = [scores for arm in seeds.values() for scores in arm.values()]
        keys = [key for key, score in of_runs[0].items() if score.boxes] if of_runs else []
        others = tuple(dict.fromkeys(kind for kind, _ in keys if kind not in _FIRST + _LAST))
        return sorted(keys, key=lambda key: (_FIRST + others + _LAST).index(key[0]))

    def _part(self, key: tuple[str, str], seeds: dict[str, dict[int, Scores]]) -> dict:
        values = {arm: {seed: scores[key] for seed, scores in of_seed.items()} for arm, of_seed in seeds.items()}
        any_score = next(score for arm in values.values() for score in arm.values())
        return {'kind': key[0], 'name': key[1], 'boxes': any_score.boxes, 'groups': any_score.groups,
                'arms': {arm: _spread({seed: float(score.values[0]) for seed, score in of_seed.items()})
                         for arm, of_seed in values.items() if of_seed},
                'differences': {arm: _difference(of_seed, values[self.baseline]) for arm, of_seed in values.items()
                                if arm != self.baseline and of_seed.keys() & values[self.baseline].keys()}}

    def _run(self, run: Run) -> dict:
        step, scores = run.next_step(), self._scores.get(run.folder)
        return {'arm': run.arm.name, 'seed': run.seed, 'state': run.state, 'steps': run.steps,
                'next': shlex.join(step.command) if step else None,
                'log': str(run.failed.log) if run.failed else None,
                'metrics': json.loads(run.metrics.read_bytes()) if scores else None,
                'ap50': {'/'.join(key): _number(score.values[0]) for key, score in scores.items()} if scores else None}


def _spread(values: dict[int, float]) -> dict:
    """Mean and standard deviation over seeds, the latter of a sample: None of one."""
    numbers = list(values.values())
    return {'mean': float(np.mean(numbers)), 'sd': float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None,
            'seeds': values}


def _difference(arm: dict[int, Score], baseline: dict[int, Score]) -> dict:
    """With its interval, unless a single group of videos has all boxes: then no draw tells one video from another."""
    seeds = sorted(arm.keys() & baseline.keys())
    found = paired_difference(*(np.stack([of_seed[seed].values for seed in seeds]) for of_seed in (arm, baseline)))
    if arm[seeds[0]].groups < 2:
        found = found._replace(low=np.nan, high=np.nan)
    return {**{name: _number(value) for name, value in found._asdict().items()}, 'seeds': seeds}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
