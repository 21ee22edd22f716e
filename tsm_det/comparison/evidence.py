"""What the detections of a run say about it: AP50 of the whole test set and of its parts, on every bootstrap draw."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope

from tsm_det.cocovid.motion import MOTION_RANGES
from tsm_det.cocovid.split import read_groups
from tsm_det.cocovid.truth_file import read_truth
from tsm_det.config import dataset_config
from tsm_det.errors import InputError
from tsm_det.evaluation.coco_ap import matched_ranges
from tsm_det.evaluation.curves import Curve, curves_of, mean_over_classes
from tsm_det.evaluation.matched_results import category_ids, evaluator_with_truth
from tsm_det.evaluation.results_file import read_results
from tsm_det.evaluation.tables import (
    Found,
    Truth,
    annotations_of,
    found_table,
    frames_with,
    places_in_videos,
    truth_table,
    video_key,
)

KINDS = ('all', 'motion', 'class', 'subset', 'frame')  # of parts; columns of a table add theirs
_FRAME_BINS = (0, 2, 4, 8, 16)  # each begins there; since the start of a video memory grows from nothing


class VideoTable(NamedTuple):
    """A CSV file with a line a video: ``group`` names the column to bootstrap over, ``by`` those to report by."""

    path: str
    video: str = 'clip'
    group: str = 'scene'
    by: tuple[str, ...] = ()


class Part(NamedTuple):
    """A part of the test set: ``frames`` ``(F,)`` of it, boxes of the range with the suffix ``range``."""

    kind: str
    name: str
    range: str
    frames: np.ndarray


class Score(NamedTuple):
    """AP50 of a part, ``(1 + B,)``: on the data set itself, then on each draw.

    ``boxes`` are there to find, in so many ``groups`` of videos.
    """

    boxes: int
    groups: int
    values: np.ndarray


@dataclass
class Evidence:
    """The truth of a test set, its parts, and its groups of videos.

    ``images`` are those of the annotation file by id, ``groups`` ``(F,)`` the group of each, in order of ``names``.
    """

    images: list[dict]
    truth: Truth
    classes: tuple[str, ...]
    parts: list[Part]
    groups: np.ndarray
    names: list[str]

    def score(self, results: str | os.PathLike, weights: np.ndarray) -> dict[tuple[str, str], Score]:
        """AP50 by kind and name of the part: ``('all', 'all')``, ``('class', 'DRONE')``, ``('motion', 'fast')``, ...,
        ``('class', 'any class')`` of boxes whatever their class.

        Args:
            results: what ``tools/test.py --out`` wrote.
            weights: ``(1 + B, G)`` from :func:`tsm_det.evaluation.bootstrap.drawn_groups`.

        Raises:
            InputError: the file is none, or is of other frames.
        """
        frames = read_results(results)
        if sorted(frame['img_id'] for frame in frames) != [image['id'] for image in self.images]:
            raise InputError(f'{results} has other frames than the annotation file: remove it and test again')
        found = found_table(self.images, [
            (frame['img_id'], *(np.asarray(frame['pred_instances'][key]) for key in ('bboxes', 'scores', 'labels')))
            for frame in frames])
        scores = {}
        for suffix, evaluation in matched_ranges(self.truth, found, len(self.classes), thresholds=(0.5,)):
            for part in (part for part in self.parts if part.range == suffix):
                curves = curves_of(evaluation, part.frames, self.groups, len(self.names), len(self.classes))
                by_class, mean = mean_over_classes(curves, weights)
                scores[part.kind, part.name] = _score(curves, mean)
                if part.kind == 'all':
                    scores |= {('class', name): _score([curves[label]], by_class[:, label])
                               for label, name in enumerate(self.classes)}
        return scores | {('class', 'any class'): self._score_boxes_alone(found, weights)}

    def _score_boxes_alone(self, found: Found, weights: np.ndarray) -> Score:
        """AP50 of all boxes taken as of one class: what is lost by the class and what by the box."""
        truth, found = (boxes._replace(labels=np.zeros_like(boxes.labels)) for boxes in (self.truth, found))
        _, evaluation = next(matched_ranges(truth, found, 1, thresholds=(0.5,)))
        curves = curves_of(evaluation, np.ones(len(self.images), bool), self.groups, len(self.names), 1)
        return _score(curves, mean_over_classes(curves, weights)[1])


def _score(curves: Sequence[Curve], values: np.ndarray) -> Score:
    boxes = np.sum([curve.boxes for curve in curves], axis=0)
    return Score(int(boxes.sum()), int(np.count_nonzero(boxes)), values)


def read_evidence(config: Config, table: VideoTable | None = None) -> Evidence:
    """Read the truth that a config's ``test_evaluator`` names.

    Without a table a video's group is its ``scene`` in the annotation file, else the video itself.

    Raises:
        InputError: a file is missing, the table lacks a video or a column, or a column is named like a part.
    """
    init_default_scope(config.get('default_scope', 'mmdet'))
    evaluator = evaluator_with_truth(config)
    content = read_truth(evaluator['ann_file'])
    if taken := [column for column in (table.by if table else ()) if column in KINDS]:
        raise InputError(f'--by {taken[0]} cannot be told from what the table has anyway: name that column of '
                         f'{table.path} otherwise')
    images = sorted(content['images'], key=lambda image: image['id'])
    cat_ids = category_ids(dataset_config(config), content['categories'], evaluator['ann_file'])
    category = {entry['id']: entry['name'] for entry in content['categories']}
    truth = truth_table(images, annotations_of(content['annotations'], cat_ids), cat_ids,
                        bool(evaluator.get('count_key_frame')))
    videos = {video['id']: video for video in content.get('videos', ())}
    names, groups = np.unique(_of_images(images, videos, table and table.group, table), return_inverse=True)
    labels = {column: _of_images(images, videos, column, table) for column in (table.by if table else ())}
    return Evidence(images, truth, tuple(category[k] for k in cat_ids),
                    _parts(images, evaluator.get('subsets') or {}, labels), groups, names.tolist())


def _parts(images: Sequence[dict], subsets: dict[str, dict], labels: dict[str, np.ndarray]) -> list[Part]:
    every = np.ones(len(images), bool)
    parts = [Part('all', 'all', '', every), *(Part('motion', name, f'_{name}', every) for name in MOTION_RANGES)]
    parts += [Part('subset', name, '', frames_with(images, fields)) for name, fields in subsets.items()]
    for column, of_images in labels.items():
        parts += [Part(column, str(name), '', of_images == name) for name in np.unique(of_images)]
    place = places_in_videos(images)
    for first, after in zip(_FRAME_BINS, (*_FRAME_BINS[1:], None), strict=True):
        name = f'{first}+' if after is None else f'{first}-{after - 1}'
        parts.append(Part('frame', name, '', (place >= first) & (after is None or place < after)))
    return parts


def _of_images(images: Sequence[dict], videos: dict[int, dict], column: str | None,
               table: VideoTable | None) -> np.ndarray:
    """What a column of the table says of each image's video: ``(F,)`` strings."""
    name = {key: str(video.get('name', key)) for key, video in videos.items()}
    said = (read_groups(table.path, table.video, column) if table
            else {name[key]: str(video.get('scene', name[key])) for key, video in videos.items()})
    if lost := [video for video in name.values() if said.get(video) is None]:
        raise InputError(f'{len(lost)} videos are not in {table.path} ({", ".join(lost[:5])}): add them to it')
    return np.array([said[name[key]] if key in name else str(key) for key in map(video_key, images)])
