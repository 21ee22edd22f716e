"""Summary of a CocoVID file: frames, and the boxes of each class by number, size and motion."""

from __future__ import annotations

from collections import Counter

import numpy as np

from tsm_det.cocovid.motion import MOTION_RANGES, motion_iou, number_tracks
from tsm_det.cocovid.read import Records
from tsm_det.text_table import aligned_table

# COCO's: sides of squares in px.
_SIZES = {'small': (0, 32), 'medium': (32, 96), 'large': (96, np.inf)}


def make_table(records: Records, name: str) -> str:
    """Two tables as text: the file as a whole, and its classes.

    Ignored regions (``iscrowd``) count in their own column only. Shares count boxes: by size (COCO's ranges of area)
    and by motion (FGFA's ranges of motion IoU, undefined for a box alone in its track). Sizes are square roots of
    areas; speed is how far the centre of a track moves per frame.
    """
    lengths = Counter(image.get('video_id') for image in records.images.values())
    stills = lengths.pop(None, 0)
    with_box = {annotation['image_id'] for annotation in records.annotations.values() if not annotation['iscrowd']}
    empty, frames = len(records.images.keys() - with_box), len(records.images)
    spread = [f'{value:g}' for value in np.percentile(list(lengths.values()) or [0], [0, 50, 100])]
    whole = [['', 'videos', 'stills', 'frames', 'shortest / median / longest', 'frames without a box'],
             [name, str(len(records.videos)), str(stills), str(frames), ' / '.join(spread),
              f'{empty} ({_percent(empty, frames)} %)']]
    head = ['', 'boxes', 'ignored', 'tracks', 'median size', *(f'area {name}' for name in _SIZES), *MOTION_RANGES,
            'alone', 'median speed']
    units = ['', '', '', '', 'px', *['%'] * (len(_SIZES) + len(MOTION_RANGES) + 1), 'px/frame']
    return '\n'.join([*aligned_table(whole), '', *aligned_table([head, units, *_class_rows(records)]), ''])


def _class_rows(records: Records) -> list[list[str]]:
    """One row per class, and one for all classes together if there are several."""
    ignored = Counter(annotation['category_id'] for annotation in records.annotations.values()
                      if annotation['iscrowd'])
    annotations = [annotation for annotation in records.annotations.values()
                   if annotation['image_id'] in records.images and not annotation['iscrowd']]
    boxes = np.array([annotation['bbox'] for annotation in annotations], float).reshape(-1, 4)
    is_sound = np.isfinite(boxes).all(1) & (boxes[:, 2:] > 0).all(1)
    annotations, boxes = [annotations[k] for k in np.flatnonzero(is_sound)], boxes[is_sound]
    classes = np.array([annotation['category_id'] for annotation in annotations], int)
    images = [records.images[annotation['image_id']] for annotation in annotations]
    tracks, frames = number_tracks(images, annotations)
    columns = [tracks, np.sqrt(boxes[:, 2:].prod(1)), motion_iou(tracks, frames, boxes),
               _speeds(tracks, frames, boxes)]
    rows = [_row(category['name'], ignored[number], [column[classes == number] for column in columns])
            for number, category in records.categories.items()]
    return rows if len(rows) < 2 else [*rows, _row('all', ignored.total(), columns)]


def _row(name: str, ignored: int, columns: list[np.ndarray]) -> list[str]:
    tracks, sizes, overlaps, speeds = columns
    row = [name, str(len(tracks)), str(ignored), str(len(np.unique(tracks))), _median(sizes)]
    row += [_percent(np.count_nonzero((low <= sizes) & (sizes < high)), len(sizes)) for low, high in _SIZES.values()]
    row += [_percent(np.count_nonzero((low <= overlaps) & (overlaps <= high)), len(sizes))
            for low, high in MOTION_RANGES.values()]
    return [*row, _percent(np.isnan(overlaps).sum(), len(sizes)), _median(speeds[~np.isnan(speeds)])]


def _speeds(tracks: np.ndarray, frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Px per frame that the centre of each box moved since its track's last box; NaN for the first box."""
    order = np.lexsort((frames, tracks))
    centres = (boxes[:, :2] + boxes[:, 2:] / 2)[order]
    far, steps = np.linalg.norm(np.diff(centres, axis=0), axis=1), np.diff(frames[order])
    follows = (np.diff(tracks[order]) == 0) & (steps > 0)
    speeds = np.full(len(tracks), np.nan)
    speeds[order[1:][follows]] = far[follows] / steps[follows]
    return speeds


def _median(values: np.ndarray) -> str:
    return f'{np.median(values):.1f}' if len(values) else '-'


def _percent(part: int, whole: int) -> str:
    return f'{100 * part / whole:.1f}' if whole else '-'
