"""The true boxes and the detections of a data set as columns of numbers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from tsm_det.cocovid.motion import motion_iou


class Truth(NamedTuple):
    """True boxes by annotation id, ``(n,)`` each.

    ``frames`` are places in the sorted image ids, ``boxes`` ``(n, 4)`` x, y, width, height in px, ``areas`` what the
    file says, ``crowd`` marks regions of many objects, ``motion`` is the motion IoU or NaN.
    """

    frames: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    crowd: np.ndarray
    motion: np.ndarray


class Found(NamedTuple):
    """Detections by frame, the surest of a frame first, equal ones as they came; columns as in :class:`Truth`."""

    frames: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray

    def take(self, rows: np.ndarray) -> Found:
        """The detections of some rows."""
        return Found(*(column[rows] for column in self))


def within(values: np.ndarray, limits: tuple[float, float] | None) -> np.ndarray:
    """Mark the values in a range, both ends included: ``(n,)``; NaN is in none, and None is any value."""
    return np.ones(len(values), bool) if limits is None else (values >= limits[0]) & (values <= limits[1])


def video_key(image: dict) -> Hashable:
    """What tells the video of an image from others: its id, or for a still, which has none, a key of its own."""
    video_id = image.get('video_id')
    return ('still', image['id']) if video_id is None else video_id


def has_tracks(annotations: Sequence[dict]) -> bool:
    """Whether every annotation says which track it is of; 0 and None are no track, as in mmdet."""
    return all(annotation.get('instance_id') for annotation in annotations)


def truth_table(images: Sequence[dict], annotations: Sequence[dict], cat_ids: Sequence[int],
                count_key_frame: bool = False) -> Truth:
    """Arrange the annotations of a CocoVID file.

    Args:
        images: sorted by id; a track never goes on in another video, and one without ``video_id`` is its own.
        annotations: all of them are of ``cat_ids``; sorted by id, so that their order in a file does not matter.
        cat_ids: the categories in the order of labels.
        count_key_frame: see :func:`~tsm_det.cocovid.motion.motion_iou`.
    """
    place = {image['id']: k for k, image in enumerate(images)}
    label = {cat_id: k for k, cat_id in enumerate(cat_ids)}
    frames = np.array([place[annotation['image_id']] for annotation in annotations], np.int64)
    boxes = np.array([annotation['bbox'] for annotation in annotations], np.float64).reshape(-1, 4)
    if has_tracks(annotations):
        of_video = [video_key(image) for image in images]
        number = {}
        tracks = [number.setdefault((of_video[frame], annotation['instance_id']), len(number))
                  for frame, annotation in zip(frames, annotations, strict=True)]
        frame_ids = np.array([image.get('frame_id') or 0 for image in images], np.int64)
        motion = motion_iou(np.array(tracks, np.int64), frame_ids[frames], boxes, count_self=count_key_frame)
    else:
        motion = np.full(len(frames), np.nan)
    return Truth(
        frames, np.array([label[annotation['category_id']] for annotation in annotations], np.int64), boxes,
        np.array([annotation.get('area', box[2] * box[3]) for annotation, box in zip(annotations, boxes, strict=True)]),
        np.array([annotation.get('iscrowd', 0) for annotation in annotations], bool), motion)


def found_table(images: Sequence[dict], results: Sequence[tuple]) -> Found:
    """Arrange the detections of a test run.

    Args:
        images: sorted by id.
        results: a tuple a frame: image id, boxes ``(n, 4)`` x1, y1, x2, y2 in px, scores, labels.
    """
    place = {image['id']: k for k, image in enumerate(images)}
    results = sorted(results, key=lambda result: place[result[0]])
    counts = [len(scores) for _, _, scores, _ in results]
    frames = np.repeat(np.array([place[img_id] for img_id, *_ in results], np.int64), counts)
    boxes = np.concatenate([np.zeros((0, 4)), *(boxes.reshape(-1, 4) for _, boxes, _, _ in results)])
    scores = np.concatenate([np.zeros(0), *(scores for _, _, scores, _ in results)])
    labels = np.concatenate([np.zeros(0, np.int64), *(labels for *_, labels in results)])
    boxes[:, 2:] -= boxes[:, :2]
    return Found(frames, labels, boxes, scores).take(np.lexsort((-scores, frames)))


def places_in_videos(images: Sequence[dict]) -> np.ndarray:
    """How many frames of its video come before each image, by frame id: ``(len(images),)``."""
    seen, places = {}, np.zeros(len(images), np.int64)
    for k in sorted(range(len(images)), key=lambda k: images[k].get('frame_id') or 0):
        video = video_key(images[k])
        places[k] = seen.get(video, 0)
        seen[video] = places[k] + 1
    return places


def frames_with(images: Sequence[dict], fields: dict) -> np.ndarray:
    """Mark the images that have these fields with these values: ``(len(images),)``."""
    return np.array([all(image.get(field) == value for field, value in fields.items()) for image in images], bool)


def annotations_of(annotations: Sequence[dict], cat_ids: Sequence[int]) -> list[dict]:
    """Those of some categories, sorted by id."""
    wanted = set(cat_ids)
    return sorted([entry for entry in annotations if entry['category_id'] in wanted], key=lambda entry: entry['id'])
