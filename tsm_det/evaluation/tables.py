"""The ground truth and the detections of a data set as columns of numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tsm_det.cocovid.motion import has_tracks, motion_iou, number_tracks, video_key


class GroundTruth(NamedTuple):
    """True boxes by annotation id, ``(n,)`` each.

    ``frames`` are places in the sorted image ids, ``boxes`` ``(n, 4)`` x, y, width, height in px, ``areas`` those of
    the file, ``crowd`` marks regions of many objects, ``motion`` is the motion IoU or NaN.
    """

    frames: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray
    motion: np.ndarray


class Detections(NamedTuple):
    """Detections by frame, then by falling score, then in order of arrival; columns as in :class:`GroundTruth`."""

    frames: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    def take(self, rows: np.ndarray) -> Detections:
        """The detections of some rows."""
        return Detections(*(column[rows] for column in self))


def within(values: np.ndarray, limits: tuple[float, float] | None) -> np.ndarray:
    """Mark the values in a range, both ends included: ``(n,)``; NaN is in none, and None is any value."""
    return np.ones(len(values), bool) if limits is None else (values >= limits[0]) & (values <= limits[1])


def ground_truth_table(images: Sequence[dict], annotations: Sequence[dict], cat_ids: Sequence[int],
                       count_key_frame: bool = False) -> GroundTruth:
    """Arrange the annotations of a CocoVID file.

    Args:
        images: sorted by id; an image without ``video_id`` is a video of its own.
        annotations: those of ``cat_ids``, sorted by id.
        cat_ids: the categories in the order of labels.
        count_key_frame: ``count_self`` of :func:`~tsm_det.cocovid.motion.motion_iou`.
    """
    place = {image['id']: k for k, image in enumerate(images)}
    label = {cat_id: k for k, cat_id in enumerate(cat_ids)}
    frames = np.array([place[annotation['image_id']] for annotation in annotations], np.int64)
    boxes = np.array([annotation['bbox'] for annotation in annotations], np.float64).reshape(-1, 4)
    motion = np.full(len(frames), np.nan)
    if has_tracks(annotations):
        tracks, frame_ids = number_tracks([images[frame] for frame in frames], annotations)
        motion = motion_iou(tracks, frame_ids, boxes, count_self=count_key_frame)
    return GroundTruth(
        frames, np.array([label[annotation['category_id']] for annotation in annotations], np.int64), boxes,
        np.array([annotation.get('area', box[2] * box[3]) for annotation, box in zip(annotations, boxes, strict=True)]),
        np.array([annotation.get('iscrowd', 0) for annotation in annotations], bool), motion)


def detection_table(images: Sequence[dict], results: Sequence[tuple]) -> Detections:
    """Arrange the detections of a test run, with ``images`` sorted by id.

    ``results`` has a tuple per frame: image id, boxes ``(n, 4)`` x1, y1, x2, y2 in px, scores, labels.
    """
    place = {image['id']: k for k, image in enumerate(images)}
    results = sorted(results, key=lambda result: place[result[0]])
    counts = [len(scores) for _, _, scores, _ in results]
    frames = np.repeat(np.array([place[img_id] for img_id, *_ in results], np.int64), counts)
    boxes = np.concatenate([np.zeros((0, 4)), *(boxes.reshape(-1, 4) for _, boxes, _, _ in results)])
    scores = np.concatenate([np.zeros(0), *(scores for _, _, scores, _ in results)])
    labels = np.concatenate([np.zeros(0, np.int64), *(labels for *_, labels in results)])
    boxes[:, 2:] -= boxes[:, :2]
    return Detections(frames, labels, boxes, scores).take(np.lexsort((-scores, frames)))


def places_in_videos(images: Sequence[dict]) -> np.ndarray:
    """The number of frames of its video before each image, by frame id: ``(len(images),)``."""
    seen, places = Counter(), np.zeros(len(images), np.int64)
    for k in sorted(range(len(images)), key=lambda k: images[k].get('frame_id') or 0):
        places[k] = seen[video_key(images[k])]
        seen[video_key(images[k])] += 1
    return places
