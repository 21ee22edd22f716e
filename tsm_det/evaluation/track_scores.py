"""HOTA, MOTA and IDF1 of tracks, by TrackEval."""

from __future__ import annotations

import json
import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log
from pycocotools import mask

from tsm_det.cocovid.read import COCO_VID, read_coco_vid
from tsm_det.errors import InputError
from tsm_det.evaluation.stream_names import match_streams

_TRACKED = {**COCO_VID, 'annotations': 'id image_id category_id bbox iscrowd instance_id?'}


class _Boxes(NamedTuple):
    """Boxes x, y, width, height of a frame with their track ids."""

    ids: list
    boxes: list


# Boxes by the id of the video, frame id and class.
_Videos = dict[int, dict[int, dict[str, _Boxes]]]


def track_scores(truth: str | os.PathLike, lines: str | os.PathLike) -> dict[str, float]:
    """Score the tracks in the JSON lines of a run, class by class.

    Frames that the run left out have no boxes; streams that are no video of the truth, stills, detections without a
    track id and boxes marked as crowd are left out.

    Args:
        truth: CocoVID file; its videos are named as the streams, see :func:`match_streams`.
        lines: JSON lines of ``tools/detect_video.py --track``.

    Returns ``HOTA``, ``MOTA``, ``IDF1``, means over the classes of the truth, ``IDSW``, the number of id switches, and
    the first three as ``CLASS/HOTA``, ...

    Raises InputError when a file cannot be read, TrackEval is not installed, streams and videos do not match, or the
    truth has no boxes, one without a track, or none of the classes of the tracks.
    """
    try:
        from trackeval.metrics import CLEAR, HOTA, Identity
    except ImportError as error:
        raise InputError('tracks are scored by TrackEval: pip install --no-deps trackeval tabulate') from error
    content = read_coco_vid(truth, _TRACKED)
    names = {category['id']: category['name'] for category in content['categories']}
    videos = {video['id']: str(video.get('name', video['id'])) for video in content['videos']}
    found = _read_lines(lines, videos, set(names.values()))
    expected, classes = _read_truth(content, names)
    if not classes:
        raise InputError(f'{truth} has no boxes of videos: give the annotations of the videos that were run')
    metrics = HOTA(), CLEAR({'PRINT_CONFIG': False}), Identity({'PRINT_CONFIG': False})
    scores, switches = {}, 0
    for name in classes:
        data = {video: _sequence(frames, found[video], name) for video, frames in expected.items()}
        hota, clear, identity = (
            metric.combine_sequences({video: metric.eval_sequence(one) for video, one in data.items()})
            for metric in metrics)
        scores[name] = {'HOTA': float(hota['HOTA'].mean()), 'MOTA': float(clear['MOTA']),
                        'IDF1': float(identity['IDF1'])}
        switches += int(clear['IDSW'])
    means = {key: float(np.mean([one[key] for one in scores.values()])) for key in ('HOTA', 'MOTA', 'IDF1')}
    return {**means, 'IDSW': switches,
            **{f'{name}/{key}': value for name, one in scores.items() for key, value in one.items()}}


def _read_truth(content: Mapping, names: Mapping[int, str]) -> tuple[_Videos, list[str]]:
    """Boxes by the id of the video, frame id and class; and the classes that have some, by their ids."""
    frames: _Videos = {video['id']: {} for video in content['videos']}
    places, classes = {}, set()
    for image in content['images']:
        if image.get('video_id') is not None:
            places[image['id']] = frames[image['video_id']].setdefault(
                image['frame_id'], defaultdict(lambda: _Boxes([], [])))
    for box in content['annotations']:
        if not box['iscrowd'] and box['image_id'] in places:
            if not box.get('instance_id'):
                raise InputError(f'annotation {box["id"]} of the truth has no instance_id, the number of its track: '
                                 'add it, or give annotations with tracks')
            classes.add(box['category_id'])
            boxes = places[box['image_id']][names[box['category_id']]]
            boxes.ids.append(box['instance_id'])
            boxes.boxes.append(box['bbox'])
    return frames, [names[number] for number in sorted(classes)]


def _read_lines(path: str | os.PathLike, videos: Mapping[int, str], classes: set[str]) -> _Videos:
    """Boxes of a run by the id of the video, frame id and class."""
    try:
        lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
        streams = list(dict.fromkeys(line['stream'] for line in lines))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f'{path} is not the JSON lines of a run ({type(error).__name__}: {error}): give the --json of '
                         'detect_video.py --track') from error
    shown = match_streams(streams, videos)
    frames: _Videos = {video: defaultdict(lambda: defaultdict(lambda: _Boxes([], []))) for video in videos}
    for line in lines:
        for box in line['detections'] if line['stream'] in shown else ():
            if 'track_id' in box:
                left, top, right, bottom = box['bbox']
                boxes = frames[shown[line['stream']]][line['frame_id']][box['class']]
                boxes.ids.append(box['track_id'])
                boxes.boxes.append([left, top, right - left, bottom - top])
    found = {name for video in frames.values() for frame in video.values() for name in frame}
    if not found:
        print_log(f'{path} has no track: run detect_video.py with --track, or lower the scores at which tracks start',
                  'current', logging.WARNING)
    elif not found & classes:
        raise InputError(f'{path} has tracks of {", ".join(sorted(found))} but the classes of the truth are '
                         f'{", ".join(sorted(classes))}: name them alike')
    return frames


def _sequence(expected: Mapping[int, Mapping], found: Mapping[int, Mapping], name: str) -> dict:
    """One class of one video in the form that TrackEval's metrics read."""
    pairs = [(expected[k][name], found[k][name]) for k in sorted(expected)]
    truth, given = (_numbered(one.ids for one in side) for side in zip(*pairs, strict=True))
    return {
        'num_timesteps': len(pairs), 'gt_ids': truth[0], 'tracker_ids': given[0],
        'num_gt_ids': truth[1], 'num_tracker_ids': given[1],
        'num_gt_dets': sum(map(len, truth[0])), 'num_tracker_dets': sum(map(len, given[0])),
        'similarity_scores': [_overlaps(one.boxes, other.boxes) for one, other in pairs]}


def _numbered(frames: Iterable[Sequence]) -> tuple[list[np.ndarray], int]:
    """The ids of each frame, counted from 0, and their number."""
    numbers: dict = {}
    counted = [np.array([numbers.setdefault(one, len(numbers)) for one in ids], dtype=int) for ids in frames]
    return counted, len(numbers)


def _overlaps(truth: Sequence, found: Sequence) -> np.ndarray:
    """IoU of each box of the truth with each box found."""
    return np.reshape(mask.iou(np.array(truth, float).reshape(-1, 4), np.array(found, float).reshape(-1, 4),
                               [0] * len(found)), (len(truth), len(found)))
