"""Class scores averaged over the frames before: how much would a plain temporal mean add to a detector?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from mmcv.ops import bbox_overlaps, nms
from torch import Tensor

_SAME_PLACE = 0.3  # IoU


def average_scores(frames: Iterable[dict], num_classes: int, memory: int) -> Iterator[dict]:
    """Replace the class scores of each place by their mean over the last frames.

    A place is a box that survives class-agnostic suppression; it is found again in the next frame by the highest IoU of
    at least 0.3. Its scores are the highest detection score per class there. After ``memory`` frames the mean is an
    exponential one of weight ``1 / memory``. Yields frames of the same form, with one detection per place and class.

    Args:
        frames: as ``tools/test.py --out`` writes them, video by video in order of time: ``img_id``, ``video_id`` and
            ``pred_instances`` with ``bboxes`` ``(n, 4)`` x1, y1, x2, y2 in px, ``scores`` and ``labels`` ``(n,)``.
        num_classes: labels are below it.
        memory: frames to average over; 1 uses the present frame only.
    """
    video, boxes, mean, age = None, torch.zeros(0, 4), torch.zeros(0, num_classes), torch.zeros(0)
    for frame in frames:
        if frame['video_id'] != video:
            video, boxes, mean, age = frame['video_id'], boxes[:0], mean[:0], age[:0]
        before = boxes
        boxes, scores = _places(frame['pred_instances'], num_classes)
        same = _match(boxes, before)
        # Row 0 stands for places that are new.
        age = torch.cat([age.new_zeros(1), age])[same] + 1
        mean = torch.cat([mean.new_zeros(1, num_classes), mean])[same]
        mean = mean + (scores - mean) / age.clamp(max=memory)[:, None]
        yield {**frame, 'pred_instances': {
            'bboxes': boxes.repeat_interleave(num_classes, 0), 'scores': mean.flatten(),
            'labels': torch.arange(num_classes).repeat(len(boxes))}}


def _places(detections: dict, num_classes: int) -> tuple[Tensor, Tensor]:
    """Boxes ``(k, 4)`` of the places and their scores ``(k, num_classes)``."""
    found, scores, labels = (torch.as_tensor(detections[key]) for key in ('bboxes', 'scores', 'labels'))
    if not len(found):
        return found.reshape(0, 4), torch.zeros(0, num_classes)
    boxes = found[nms(found, scores, _SAME_PLACE)[1]]
    near = bbox_overlaps(boxes, found) >= _SAME_PLACE
    per_class = [(near * (labels == label) * scores).amax(1) for label in range(num_classes)]
    return boxes, torch.stack(per_class, 1)


def _match(boxes: Tensor, before: Tensor) -> Tensor:
    """1 + the row of the earlier box with the highest IoU, 0 for a new place: ``(k,)``."""
    if not len(boxes) or not len(before):
        return torch.zeros(len(boxes), dtype=torch.long)
    overlap, row = bbox_overlaps(boxes, before).max(1)
    return torch.where(overlap >= _SAME_PLACE, row + 1, 0)
