"""All numbers of a comparison as plain values, for the JSON file, the page and the plots."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from mmengine.config import Config

from tsm_det.cocovid.motion import MOTION_RANGES, has_tracks, video_key
from tsm_det.cocovid.split import read_groups
from tsm_det.comparison.runs import Run, differing_keys
from tsm_det.errors import InputError
from tsm_det.evaluation.bootstrap import drawn_groups, grouped_curves, mean_over_classes, paired_difference
from tsm_det.evaluation.coco_ap import matched_ranges
from tsm_det.evaluation.evaluation_set import EvaluationSet, evaluation_set_of, ground_truth_evaluator
from tsm_det.evaluation.stability import MEASURES, track_errors
from tsm_det.evaluation.subsets import subsets_of
from tsm_det.evaluation.tables import Detections, places_in_videos

_KINDS = ('all', 'motion', 'class', 'subset', 'frame', 'stability')  # of parts; the columns of a table add theirs
_FRAME_BINS = (0, 2, 4, 8, 16, math.inf)  # the memory grows from the start of a video


class VideoTable(NamedTuple):
    """A CSV file with a line per video: the bootstrap draws from column ``group``, ``by`` names more parts."""

    path: str
    video: str = 'clip'
    group: str = 'scene'
    by: tuple[str, ...] = ()


class Score(NamedTuple):
    """AP50 of a part with ``boxes`` true boxes in ``groups`` groups of videos, or a stability of as many tracks.

    ``values`` ``(1 + B,)`` are on the data set itself, then on each draw.
    """

    boxes: int
    groups: int
    values: np.ndarray


class PartScores:
    """Scores detections on all parts of a config's test set.

    Without a table a video's group is its ``scene`` in the annotation file, else the video itself. ``groups`` ``(F,)``
    is the group of each frame, an index of ``names``. Raises InputError when a file is missing, the table lacks a video
    or a column, or a column is named like a part.
    """

    def __init__(self, config: Config, table: VideoTable | None = None) -> None:
        by = table.by if table else ()
        if taken := [column for column in by if column in _KINDS]:
            raise InputError(f'--by {taken[0]} has the name of a part that is always reported: rename that column of '
                             f'{table.path}')
        self.data = evaluation_set_of(config)
        names, self.groups = np.unique(_of_frames(self.data, table, table and table.group), return_inverse=True)
        self.names = names.tolist()
        evaluator = ground_truth_evaluator(config)
        subsets = subsets_of(self.data.images, evaluator.get('subsets'), evaluator.get('bursts'))
        # Kind and name of each part of the frames.
        self._parts = {('subset', name): mark for name, mark in subsets.items()}
        for column in by:
            values = _of_frames(self.data, table, column)
            self._parts |= {(column, str(name)): values == name for name in np.unique(values)}
        place = places_in_videos(self.data.images)
        for first, after in pairwise(_FRAME_BINS):
            name = f'{first}+' if after == math.inf else f'{first}-{after - 1}'
            self._parts['frame', name] = (place >= first) & (place < after)

    def score(self, results: str | os.PathLike, weights: np.ndarray) -> dict[tuple[str, str], Score]:
        """AP50 by kind and name of the part: ``('all', 'all')``, ``('motion', 'fast')``, ``('class', 'DRONE')``, ...

        ``('class', 'any class')`` ignores classes; ``('stability', 'fragment')`` and so on, of data with tracks, are
        those of :mod:`~tsm_det.evaluation.stability`, at one score threshold for all draws.

        ``results`` is a file of ``tools/test.py --out``, ``weights`` ``(1 + B, G)`` are from
        :func:`tsm_det.evaluation.bootstrap.drawn_groups`. Raises InputError when the file is missing or does not fit
        the test set.
        """
        truth, detections, classes = self.data.ground_truth, self.data.read_detections(results), self.data.classes
        every = np.ones(len(self.data.images), bool)
        ranges = dict(matched_ranges(truth, detections, len(classes), thresholds=(0.5,)))
        one_class = (table._replace(labels=np.zeros_like(table.labels)) for table in (truth, detections))
        _, any_class = next(matched_ranges(*one_class, 1, thresholds=(0.5,)))
        labels = range(len(classes))
        parts = {('all', 'all'): (ranges[''], every, labels)}
        parts |= {('motion', name): (ranges[f'_{name}'], every, labels) for name in MOTION_RANGES}
        parts |= {('class', name): (ranges[''], every, [label]) for label, name in enumerate(classes)}
        parts['class', 'any class'] = any_class, every, [0]
        parts |= {key: (ranges[''], frames, labels) for key, frames in self._parts.items()}
        scores = {}
        for key, part in parts.items():
            curves = grouped_curves(*part, self.groups, len(self.names))
            boxes = np.sum([curve.boxes for curve in curves], axis=0)
            scores[key] = Score(int(boxes.sum()), int(np.count_nonzero(boxes)), mean_over_classes(curves, weights))
        return scores | (self._stability(detections, weights) if has_tracks(self.data.annotations) else {})

    def _stability(self, detections: Detections, weights: np.ndarray) -> dict[tuple[str, str], Score]:
        """Scores of the measures that are defined on some track."""
        found, scores = track_errors(self.data.ground_truth, *self.data.tracks(), detections), {}
        groups = self.groups[found.first_frame]
        for name, errors in zip(MEASURES, found.errors.T, strict=True):
            defined = ~np.isnan(errors)
            if defined.any():
                sums, tracks = (np.bincount(groups[defined], of_track, len(self.names))
                                for of_track in (errors[defined], None))
                with np.errstate(invalid='ignore'):  # a draw without such a track
                    values = weights @ sums / (weights @ tracks)
                scores['stability', name] = Score(int(tracks.sum()), np.count_nonzero(tracks), values)
        return scores


def _of_frames(data: EvaluationSet, table: VideoTable | None, column: str | None) -> np.ndarray:
    """The value of the table's column for each frame's video: ``(F,)`` strings; without a table, its scene or name."""
    name = {key: str(video.get('name', key)) for key, video in data.videos.items()}
    values = (read_groups(table.path, table.video, column) if table
              else {name[key]: str(video.get('scene', name[key])) for key, video in data.videos.items()})
    if lost := [video for video in name.values() if values.get(video) is None]:
        raise InputError(f'{table.path} lacks {len(lost)} videos ({", ".join(lost[:5])}): add them')
    return np.array([values[name[key]] if key in name else str(key) for key in map(video_key, data.images)])


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
        every = dict.fromkeys(key for scores in self._scores.values() for key in scores)
        return {
            'baseline': self.baseline,
            'test': {'frames': len(self.parts.data.images), 'boxes': len(self.parts.data.annotations),
                     'groups': len(self.parts.names), 'draws': self.draws},
            'arms': [{'name': arm.name, 'config': arm.config, 'options': list(arm.options),
                      'differs_in': self._differing[arm.name], 'seeds': sum(run.arm == arm for run in self.runs),
                      'finished': len(seeds[arm.name]), 'latency': latency.get(arm.name)} for arm in self.arms],
            'parts': [part for part in (self._part(key, seeds) for key in every) if part['boxes']],
            'runs': [{**run.summary(), 'ap50': {'/'.join(key): _number(score.values[0]) for key, score
                                                in self._scores[run].items() if key[0] != 'stability'}
                      if run in self._scores else None} for run in self.runs]}

    def _part(self, key: tuple[str, str], seeds: dict[str, dict[int, dict]]) -> dict:
        """A part; a measure of stability counts the tracks that the run with the fewest has it on."""
        values = {arm: {seed: scores[key] for seed, scores in of_seed.items() if key in scores}
                  for arm, of_seed in seeds.items()}
        baseline, scores = values[self.baseline], [score for of_seed in values.values() for score in of_seed.values()]
        return {'kind': key[0], 'name': key[1], **{field: min(getattr(score, field) for score in scores)
                                                   for field in ('boxes', 'groups')},
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
    """With its interval, unless one group of videos has all boxes of a run: its draws are all alike."""
    seeds = sorted(arm.keys() & baseline.keys())
    difference = paired_difference(*(np.stack([scores[seed].values for seed in seeds]) for scores in (arm, baseline)))
    if min(scores[seed].groups for seed in seeds for scores in (arm, baseline)) < 2:
        difference = difference._replace(low=np.nan, high=np.nan)
    return {**{name: _number(value) for name, value in difference._asdict().items()}, 'seeds': seeds}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
