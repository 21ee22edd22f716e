"""Targets pasted into the other clips of a step, so that scenes do not give classes away."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmdet.models import TrackDataPreprocessor
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor

_TRIES = 10
# What is taken along around a target, on each side: a part of its size, and px at least.
_MARGIN, _LEAST_MARGIN = 0.25, 2


class Look(NamedTuple):
    """A target in one frame of a clip.

    ``window`` is (x1, y1, x2, y2) in px, ends excluded; ``contrast``, ``(C, h, w)``, how the picture in it differs from
    its rim; ``truth`` one instance.
    """

    frame: int
    window: tuple[int, int, int, int]
    contrast: Tensor
    truth: InstanceData


@MODELS.register_module()
class TargetPastingPreprocessor(TrackDataPreprocessor):
    """``TrackDataPreprocessor`` that in training pastes the targets of each clip into the other clips of the step.

    Where a class is seen in few scenes, a detector learns the scene. A target that flies its path through other clips
    too, from a random place on, shows what is its own. What differs between it and its surroundings is added to the
    other picture and fades towards the rim of a window around it, so that no edge gives it away. Random numbers are
    torch's.

    Pasting in single images: Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for Instance
    Segmentation", CVPR 2021; of small objects: Kisantal et al., "Augmentation for Small Object Detection", 2019.

    Args:
        prob: how often a target is pasted into a given other clip, from 0 to 1.
        kwargs: keys of ``TrackDataPreprocessor``.

    Raises:
        ValueError: ``prob`` is no share.
    """

    def __init__(self, prob: float = 1.0, **kwargs) -> None:
        super().__init__(**kwargs)
        if not 0 <= prob <= 1:
            raise ValueError(f'prob is {prob} but a number from 0 to 1 is needed')
        self.prob = prob

    def forward(self, data: dict, training: bool = False) -> dict:
        """Paste, then do what ``TrackDataPreprocessor`` does.

        Args:
            data: ``inputs``, N clips ``(T, C, H, W)`` as loaded, 0 to 255, and their ``data_samples``; not changed.
            training: whether to paste.
        """
        if training:
            data = self.cast_data(data)
            data = {**data, **self._pasted(data['inputs'], data['data_samples'])}
        return super().forward(data, training)

    def _pasted(self, clips: list[Tensor], samples: list[TrackDataSample]) -> dict:
        tracks = [tracks_of(clip, sample) for clip, sample in zip(clips, samples, strict=True)]
        clips, samples = [clip.clone() for clip in clips], copy.deepcopy(samples)
        for place, (clip, sample) in enumerate(zip(clips, samples, strict=True)):
            for track in (track for donor, found in enumerate(tracks) if donor != place for track in found):
                if torch.rand(()) < self.prob:
                    paste(track, clip, sample)
        return dict(inputs=clips, data_samples=samples)


def tracks_of(clip: Tensor, sample: TrackDataSample) -> list[list[Look]]:
    """The targets of a clip ``(T, C, H, W)``, each as its looks in order of time.

    Those that come near another or near the edge are left out: they would be cut, or bring a piece of the other.
    """
    seen: dict[int, list[Look | None]] = {}
    for frame, (image, truth) in enumerate(zip(clip, sample.video_data_samples, strict=True)):
        for k, track in enumerate(truth.gt_instances.instances_ids.tolist()):
            seen.setdefault(track, []).append(_look(image, frame, truth.gt_instances, k))
    return [looks for looks in seen.values() if all(looks)]


def paste(track: list[Look], clip: Tensor, sample: TrackDataSample) -> None:
    """Add a track to a clip ``(T, C, H, W)`` and to its truth, in place, where it meets no target; or not at all."""
    offset = _free_offset(track, clip, sample)
    if offset is None:
        return
    taken = torch.cat([frame.gt_instances.instances_ids for frame in sample.video_data_samples])
    new_id = int(taken.max()) + 1 if len(taken) else 1
    dx, dy = offset
    for look in track:
        x1, y1, x2, y2 = look.window
        part = clip[look.frame, :, y1 + dy:y2 + dy, x1 + dx:x2 + dx]
        part.copy_((part + look.contrast).round().clamp(0, 255))
        truth, frame = copy.deepcopy(look.truth), sample[look.frame]
        truth.bboxes = truth.bboxes + truth.bboxes.new_tensor([dx, dy, dx, dy])
        truth.instances_ids = torch.full_like(truth.instances_ids, new_id)
        frame.gt_instances = InstanceData.cat([frame.gt_instances, truth])


def _look(image: Tensor, frame: int, truth: InstanceData, k: int) -> Look | None:
    """Target ``k`` in an image ``(C, H, W)``; None where its window meets another target or goes beyond the edge."""
    box, others = truth.bboxes[k].tolist(), torch.cat([truth.bboxes[:k], truth.bboxes[k + 1:]])
    (x1, x2, weight_x), (y1, y2, weight_y) = (_window(*ends) for ends in zip(box[:2], box[2:], strict=True))
    if min(x1, y1) < 0 or x2 > image.shape[2] or y2 > image.shape[1] or _meets((x1, y1, x2, y2), others):
        return None
    patch, weight = image[:, y1:y2, x1:x2].float(), (weight_y[:, None] * weight_x).to(image.device)
    rim = patch[:, weight < 1].median(1).values
    return Look(frame, (x1, y1, x2, y2), (patch - rim[:, None, None]) * weight, truth[k])


def _window(first: float, last: float) -> tuple[int, int, Tensor]:
    """Along one side: start, end, and weights of its pixels, 1 inside the box and falling to 0 a margin away."""
    margin = max(_LEAST_MARGIN, _MARGIN * (last - first))
    start, end = math.floor(first - margin), math.ceil(last + margin)
    centre = torch.arange(start, end) + 0.5
    return start, end, (1 - torch.maximum(first - centre, centre - last) / margin).clamp(0, 1)


def _free_offset(track: list[Look], clip: Tensor, sample: TrackDataSample) -> tuple[int, int] | None:
    """How far (x, y) to move a track so that it is inside the pictures and over no target; None: no place found."""
    windows = torch.tensor([look.window for look in track])
    low, high = -windows[:, :2].amin(0), torch.tensor(clip.shape[:1:-1]) - windows[:, 2:].amax(0)
    if (high < low).any():
        return None
    for _ in range(_TRIES):
        offset = low + (torch.rand(2) * (high - low + 1)).long()
        moved = (windows + offset.repeat(2)).tolist()
        if not any(_meets(window, sample[look.frame].gt_instances.bboxes)
                   for window, look in zip(moved, track, strict=True)):
            return tuple(offset.tolist())
    return None


def _meets(window: Sequence[int], boxes: Tensor) -> bool:
    x1, y1, x2, y2 = window
    return bool(((boxes[:, 0] < x2) & (boxes[:, 2] > x1) & (boxes[:, 1] < y2) & (boxes[:, 3] > y1)).any())
