"""How fast objects move: motion IoU, and its ranges slow, medium and fast."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from tsm_det.cocovid.boxes import pair_iou

MOTION_RANGES = {'slow': (0.9, 1.0), 'medium': (0.7, 0.9), 'fast': (0.0, 0.7)}


def motion_iou(tracks: np.ndarray, frames: np.ndarray, boxes: np.ndarray, window: int = 10,
               count_self: bool = False) -> np.ndarray:
    """Give each box the mean of its IoU with its own track's boxes shortly before and after it.

    The measure of Zhu et al., "Flow-Guided Feature Aggregation for Video Object Detection", ICCV 2017: 1 for a
    static object, 0 for one that leaves its own box within a frame. Frame ids may have gaps. Two boxes of a track in
    one frame are neighbours like any others.

    Args:
        tracks: ``(n,)``, the track of each box; unique over the whole data set.
        frames: ``(n,)``, integers.
        boxes: ``(n, 4)`` x, y, width, height in px.
        window: largest distance of neighbours in frame ids.
        count_self: count each box as its own neighbour, with IoU 1.

    Returns:
        ``(n,)`` in the order of the arguments; NaN for a box without neighbours. Rounded to 12 decimals, so that the
        mean of values that are all 0.7 is exactly 0.7.
    """
    tracks, frames = np.unique(tracks, return_inverse=True)[1].reshape(-1), np.asarray(frames, np.int64)
    order = np.lexsort((frames, tracks))
    tracks, frames = tracks[order], frames[order]
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)[order]
    total = np.full(len(order), float(count_self))
    count = np.full(len(order), int(count_self))
    for step in range(1, len(order)):
        near = (tracks[step:] == tracks[:-step]) & (frames[step:] - frames[:-step] <= window)
        # Boxes are sorted by track and frame: if no pair this far apart is near, no pair farther apart is.
        if not near.any():
            break
        earlier = np.flatnonzero(near)
        later = earlier + step
        overlap = pair_iou(boxes[earlier], boxes[later])
        total[earlier] += overlap
        total[later] += overlap
        count[earlier] += 1
        count[later] += 1
    means = np.full(len(order), np.nan)
    np.divide(total, count, out=means, where=count > 0)
    result = np.empty(len(order))
    result[order] = np.round(means, 12)
    return result


def number_tracks(images: Sequence[dict], annotations: Sequence[dict]) -> tuple[np.ndarray, np.ndarray]:
    """Number the tracks of boxes over a whole file.

    Args:
        images: the image of each annotation.
        annotations: a box without ``instance_id`` is a track of its own.

    Returns:
        The track and the frame id of each box, ``(n,)`` each; a still's frame id is 0.
    """
    keys = [(video_key(image), annotation['instance_id']) if annotation.get('instance_id') else
            ('no track', annotation['id']) for image, annotation in zip(images, annotations, strict=True)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return (np.array([numbers[key] for key in keys], np.int64),
            np.array([image.get('frame_id') or 0 for image in images], np.int64))


def video_key(image: dict) -> Hashable:
    """Return the id of an image's video; a still, which has none, gets a unique key."""
    video_id = image.get('video_id')
    return ('still', image['id']) if video_id is None else video_id


def has_tracks(annotations: Sequence[dict]) -> bool:
    """Whether every box has an ``instance_id``; 0 and None count as missing, as in mmdet. Ignored regions need none."""
    return all(annotation.get('instance_id') or annotation.get('iscrowd') for annotation in annotations)
