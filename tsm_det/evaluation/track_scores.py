"""HOTA, MOTA and IDF1 of tracks, by TrackEval."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pycocotools import mask

from tsm_det.cocovid.read import COCO_VID, read_coco_vid
from tsm_det.errors import InputError

_TRACKED = {**COCO_VID, 'annotations': 'id image_id category_id bbox iscrowd instance_id'}


class _Boxes(NamedTuple):
    """Boxes x, y, width, height of a frame with their track ids."""

    ids: list
    boxes: list


def track_scores(truth: str | os.PathLike, lines: str | os.PathLike) -> dict[str, float]:
    """Score the tracks in the JSON lines of a run, class by class.

    Frames that the run left out have no boxes; detections without a track id and boxes marked as crowd are left out.

    Args:
        truth: CocoVID file; its videos are named as the streams, but for folders and suffixes.
        lines: JSON lines of ``tools/detect_video.py --track``.

    Returns ``HOTA``, ``MOTA``, ``IDF1``, means over the classes of the truth, ``IDSW``, the number of id switches, and
    the first three as ``CLASS/HOTA``, ...

    Raises InputError when a file cannot be read, TrackEval is not installed, or no stream is a video of the truth.
    """
    try:
        from trackeval.metrics import CLEAR, HOTA, Identity
    except ImportError as error:
        raise InputError('tracks are scored by TrackEval: pip install --no-deps trackeval tabulate') from error
    content = read_coco_vid(truth, _TRACKED)
    found = _read_lines(lines, [video['name'] for video in content['videos']])
    expected = _read_truth(content)
    names = {category['id']: category['name'] for category in content['categories']}
    metrics = HOTA(), CLEAR({'PRINT_CONFIG': False}), Identity({'PRINT_CONFIG': False})
    scores, switches = {}, 0
    for name in (names[number] for number in sorted({box['category_id'] for box in content['annotations']})):
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


def _read_truth(content: Mapping) -> dict[str, dict[int, dict[str, _Boxes]]]:
    """Boxes by video, frame id and class."""
    videos = {video['id']: video['name'] for video in content['videos']}
    classes = {category['id']: category['name'] for category in content['categories']}
    frames, places = {name: {} for name in videos.values()}, {}
    for image in content['images']:
        places[image['id']] = frames[videos[image['video_id']]].setdefault(
            image['frame_id'], defaultdict(lambda: _Boxes([], [])))
    for box in content['annotations']:
        if not box['iscrowd']:
            boxes = places[box['image_id']][classes[box['category_id']]]
            boxes.ids.append(box['instance_id'])
            boxes.boxes.append(box['bbox'])
    return frames


def _read_lines(path: str | os.PathLike, videos: Sequence[str]) -> dict[str, dict[int, dict[str, _Boxes]]]:
    """Boxes of a run by video of the truth, frame id and class."""
    by_name = {key: video for video in videos for key in (Path(video).name, Path(video).stem)}
    frames = {video: defaultdict(lambda: defaultdict(lambda: _Boxes([], []))) for video in videos}
    is_known = False
    try:
        content = [json.loads(line) for line in Path(path).read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f'{path} cannot be read as JSON lines ({error}): give the --json of a run') from error
    for line in content:
        stream = Path(line['stream'])
        video = by_name.get(stream.name, by_name.get(stream.stem))
        is_known |= video is not None
        for box in line['detections'] if video else ():
            if 'track_id' in box:
                left, top, right, bottom = box['bbox']
                boxes = frames[video][line['frame_id']][box['class']]
                boxes.ids.append(box['track_id'])
                boxes.boxes.append([left, top, right - left, bottom - top])
    if not is_known:
        raise InputError(f'no stream of {path} has the name of a video of the truth ({", ".join(videos[:3])}, ...): '
                         'give the annotations of the videos that were run')
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
