"""AP50 of the whole test set and of its parts, on every bootstrap draw."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np
from mmengine.config import Config

from tsm_det.cocovid.motion import MOTION_RANGES, video_key
from tsm_det.cocovid.split import read_groups
from tsm_det.errors import InputError
from tsm_det.evaluation.bootstrap import grouped_curves, mean_over_classes
from tsm_det.evaluation.coco_ap import matched_ranges
from tsm_det.evaluation.evaluation_set import EvaluationSet, evaluation_set_of, ground_truth_evaluator
from tsm_det.evaluation.tables import frames_with, places_in_videos

_KINDS = ('all', 'motion', 'class', 'subset', 'frame')  # of parts; the columns of a table add theirs
_FRAME_BINS = (0, 2, 4, 8, 16)  # first frames of bins: the memory grows from the start of a video


class VideoTable(NamedTuple):
    """A CSV file with a line per video: the bootstrap draws from column ``group``, ``by`` names more parts."""

    path: str
    video: str = 'clip'
    group: str = 'scene'
    by: tuple[str, ...] = ()


class Score(NamedTuple):
    """AP50 of a part with ``boxes`` true boxes in ``groups`` groups of videos.

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
        subsets = ground_truth_evaluator(config).get('subsets') or {}
        # Kind and name of each part of the frames.
        self._parts = {('subset', name): frames_with(self.data.images, fields) for name, fields in subsets.items()}
        for column in by:
            values = _of_frames(self.data, table, column)
            self._parts |= {(column, str(name)): values == name for name in np.unique(values)}
        place = places_in_videos(self.data.images)
        for first, after in zip(_FRAME_BINS, (*_FRAME_BINS[1:], None), strict=True):
            name = f'{first}+' if after is None else f'{first}-{after - 1}'
            self._parts['frame', name] = (place >= first) & (after is None or place < after)

    def score(self, results: str | os.PathLike, weights: np.ndarray) -> dict[tuple[str, str], Score]:
        """AP50 by kind and name of the part: ``('all', 'all')``, ``('motion', 'fast')``, ``('class', 'DRONE')``, ...

        ``('class', 'any class')`` ignores classes. ``results`` is a file of ``tools/test.py --out``, ``weights``
        ``(1 + B, G)`` are from :func:`tsm_det.evaluation.bootstrap.drawn_groups`. Raises InputError when the file is
        missing or does not fit the test set.
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
        return scores


def _of_frames(data: EvaluationSet, table: VideoTable | None, column: str | None) -> np.ndarray:
    """The value of the table's column for each frame's video: ``(F,)`` strings; without a table, its scene or name."""
    name = {key: str(video.get('name', key)) for key, video in data.videos.items()}
    values = (read_groups(table.path, table.video, column) if table
              else {name[key]: str(video.get('scene', name[key])) for key, video in data.videos.items()})
    if lost := [video for video in name.values() if values.get(video) is None]:
        raise InputError(f'{table.path} lacks {len(lost)} videos ({", ".join(lost[:5])}): add them')
    return np.array([values[name[key]] if key in name else str(key) for key in map(video_key, data.images)])
