"""Online rescoring of tubelets: class scores averaged over the frames before, without training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from mmcv.ops import bbox_overlaps, nms
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor

_SAME_PLACE = 0.3  # IoU


class Places(NamedTuple):
    """Places of the last frame: boxes ``(k, 4)``, mean scores ``(k, num_classes)``, and frames averaged ``(k,)``."""

    boxes: Tensor
    scores: Tensor
    age: Tensor


def average_frame(detections: dict, past: Places | None, num_classes: int, memory: int) -> tuple[dict, Places]:
    """Replace the class scores of each place of a frame by their mean over the last frames.

    A place is a box that survives class-agnostic suppression; it is found again in the next frame by the highest IoU of
    at least 0.3. Its scores are the highest detection score per class there. After ``memory`` frames the mean is an
    exponential one of weight ``1 / memory``.

    Args:
        detections: ``bboxes`` ``(n, 4)`` x1, y1, x2, y2 in px, ``scores`` and ``labels`` ``(n,)``.
        past: of the frame before; None at the start of a stream.
        num_classes: labels are below it.
        memory: frames to average over; 1 uses the present frame only.

    Returns:
        Detections of the same form, one per place and class, and the past of the next frame.
    """
    boxes, scores = _places(detections, num_classes)
    before = past or Places(boxes[:0], scores[:0], scores[:0, 0])
    same = _match(boxes, before.boxes)
    # Row 0 stands for places that are new.
    age = torch.cat([before.age.new_zeros(1), before.age])[same] + 1
    mean = torch.cat([before.scores.new_zeros(1, num_classes), before.scores])[same]
    mean = mean + (scores - mean) / age.clamp(max=memory)[:, None]
    labels = torch.arange(num_classes, device=boxes.device).repeat(len(boxes))
    averaged = {'bboxes': boxes.repeat_interleave(num_classes, 0), 'scores': mean.flatten(), 'labels': labels}
    return averaged, Places(boxes, mean, age)


def average_scores(frames: Iterable[dict], num_classes: int, memory: int) -> Iterator[dict]:
    """Average the scores of frames as ``tools/test.py --out`` writes them, video by video in order of time.

    Yields frames of the same form: see :func:`average_frame`.
    """
    video, past = None, None
    for frame in frames:
        if frame['video_id'] != video:
            video, past = frame['video_id'], None
        averaged, past = average_frame(frame['pred_instances'], past, num_classes, memory)
        yield {**frame, 'pred_instances': averaged}


class ScoreAveraging:
    """Forward hook of a detector: averages the scores of the clips that it detects in, a past per ``video_id``.

    A stream that the detector starts over starts over here too. Keys are those of :func:`average_frame`.
    """

    def __init__(self, num_classes: int, memory: int) -> None:
        self.num_classes, self.memory = num_classes, memory
        self.pasts: dict[object, Places] = {}

    def __call__(self, _model: object, _inputs: tuple, clips: Sequence[TrackDataSample]) -> None:
        for clip in clips:
            for frame in clip.video_data_samples:
                if frame.metainfo.get('reset'):
                    self.pasts.pop(frame.video_id, None)
                averaged, self.pasts[frame.video_id] = average_frame(
                    frame.pred_instances, self.pasts.get(frame.video_id), self.num_classes, self.memory)
                frame.pred_instances = InstanceData(**averaged)


def _places(detections: dict, num_classes: int) -> tuple[Tensor, Tensor]:
    """Boxes ``(k, 4)`` of the places and their scores ``(k, num_classes)``."""
    found, scores, labels = (torch.as_tensor(detections[key]) for key in ('bboxes', 'scores', 'labels'))
    if not len(found):
        return found.reshape(0, 4), scores.new_zeros(0, num_classes)
    kept = nms(found, scores, _SAME_PLACE)[1]
    boxes = found[kept]
    near = bbox_overlaps(boxes, found) >= _SAME_PLACE
    near[torch.arange(len(kept)), kept] = True  # a box without area overlaps nothing
    per_class = [(near * (labels == label) * scores).amax(1) for label in range(num_classes)]
    return boxes, torch.stack(per_class, 1)


def _match(boxes: Tensor, before: Tensor) -> Tensor:
    """1 + the row of the earlier box with the highest IoU, 0 for a new place: ``(k,)``."""
    if not len(boxes) or not len(before):
        return torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
    overlap, row = bbox_overlaps(boxes, before).max(1)
    return torch.where(overlap >= _SAME_PLACE, row + 1, 0)
