"""Paste targets into the other clips of a step, so that scenes do not reveal classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import torch
from mmdet.models import TrackDataPreprocessor
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from tsm_det.errors import InputError

_TRIES = 10
# Margin around a target on each side: relative to its size, and at least this many px.
_MARGIN, _LEAST_MARGIN = 0.25, 2


class TrackFrame(NamedTuple):
    """A target in one frame of a clip.

    ``window`` is (x1, y1, x2, y2) in px, ends excluded; ``contrast``, ``(C, h, w)``, the target minus its surroundings,
    0 along the outline; ``ground_truth`` holds one instance.
    """

    frame: int
    window: tuple[int, int, int, int]
    contrast: Tensor
    ground_truth: InstanceData


@MODELS.register_module()
class TargetPastingPreprocessor(TrackDataPreprocessor):
    """``TrackDataPreprocessor`` that pastes the targets of each training clip into the other clips of the step.

    When a class occurs in few scenes, a detector learns the scene. A target pasted along its path into other clips, at
    a random offset, is seen against other scenes. Its difference from its surroundings is added to the other frames; it
    is 0 along the outline of the window, so that no edge is visible. Each process pastes among its own clips. Random
    numbers are torch's.

    Pasting in single images: Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for Instance
    Segmentation", CVPR 2021; of small objects: Kisantal et al., "Augmentation for Small Object Detection", 2019.

    Args:
        prob: probability of pasting a target into another clip; of N clips with one target each, a clip gets about
            ``prob * (N - 1)`` targets.
        kwargs: keys of ``TrackDataPreprocessor``.

    Raises:
        InputError: ``prob`` is outside 0 to 1.
    """

    def __init__(self, prob: float = 1.0, **kwargs) -> None:
        super().__init__(**kwargs)
        if not 0 <= prob <= 1:
            raise InputError(f'prob is {prob} but must be from 0 to 1')
        self.prob = prob

    def forward(self, data: dict, training: bool = False) -> dict:
        """Paste if ``training``, then preprocess.

        Args:
            data: ``inputs``, N clips ``(T, C, H, W)`` from the pipeline, and their ``data_samples`` with
                ``instances_ids``; not changed.
        """
        if training and self.prob and len(data['inputs']) > 1:
            data = self.cast_data(data)  # copies the samples but not the frames
            data['inputs'] = [clip.clone() for clip in data['inputs']]
            self._paste_all(data['inputs'], data['data_samples'])
        return super().forward(data, training)

    def _paste_all(self, clips: list[Tensor], samples: list[TrackDataSample]) -> None:
        tracks = [tracks_of(clip, sample) for clip, sample in zip(clips, samples, strict=True)]
        for place, (clip, sample) in enumerate(zip(clips, samples, strict=True)):
            for track in chain.from_iterable(tracks[:place] + tracks[place + 1:]):
                if torch.rand(()) < self.prob:
                    paste(track, clip, sample)


def tracks_of(clip: Tensor, sample: TrackDataSample) -> list[list[TrackFrame]]:
    """List the targets of a clip ``(T, C, H, W)``, each as its frames in order of time.

    Targets near others or near the edge are left out: their windows would be cut, or contain parts of others.
    """
    seen: dict[int, list[TrackFrame | None]] = {}
    for k, image in enumerate(clip):
        for place, track in enumerate(sample[k].gt_instances.instances_ids.tolist()):
            seen.setdefault(track, []).append(_track_frame(image, k, sample[k], place))
    return [track for track in seen.values() if all(track)]


def paste(track: list[TrackFrame], clip: Tensor, sample: TrackDataSample) -> None:
    """Add a track to a clip ``(T, C, H, W)`` and its ground truth in place, if there is room clear of targets."""
    offset = _free_offset(track, clip, sample)
    if offset is None:
        return
    taken = torch.cat([frame.gt_instances.instances_ids for frame in sample.video_data_samples])
    new_id = int(taken.max()) + 1 if len(taken) else 1
    dx, dy = offset
    for target in track:
        x1, y1, x2, y2 = target.window
        part = clip[target.frame, :, y1 + dy:y2 + dy, x1 + dx:x2 + dx]
        levels = part + target.contrast
        part.copy_(levels if part.is_floating_point() else levels.round().clamp(0, 255))
        instance, frame = target.ground_truth.clone(), sample[target.frame]
        instance.bboxes = instance.bboxes + instance.bboxes.new_tensor([dx, dy, dx, dy])
        instance.instances_ids = torch.full_like(instance.instances_ids, new_id)
        frame.gt_instances = InstanceData.cat([frame.gt_instances, instance])


def _track_frame(image: Tensor, k: int, frame: DetDataSample, place: int) -> TrackFrame | None:
    """Return a target of frame ``k``, ``(C, H, W)``; None if its window overlaps others or leaves the frame."""
    boxes = _boxes(frame)
    (x1, x2), (y1, y2) = (_widened(*ends) for ends in zip(*boxes[place].view(2, 2).tolist(), strict=True))
    others = torch.cat([boxes[:place], boxes[place + 1:]])
    if min(x1, y1) < 0 or x2 > image.shape[2] or y2 > image.shape[1] or _overlaps((x1, y1, x2, y2), others):
        return None
    return TrackFrame(k, (x1, y1, x2, y2), _contrast(image[:, y1:y2, x1:x2].float()), frame.gt_instances[place])


def _widened(first: float, last: float) -> tuple[int, int]:
    margin = max(_LEAST_MARGIN, _MARGIN * (last - first))
    return math.floor(first - margin), math.ceil(last + margin)


def _contrast(patch: Tensor) -> Tensor:
    """Subtract the surface spanned by the outline of a patch ``(C, h, w)``, which leaves 0 of smooth background.

    Coons, "Surfaces for Computer-Aided Design of Space Forms", 1967.
    """
    x, y = (torch.linspace(0, 1, size, device=patch.device) for size in (patch.shape[2], patch.shape[1]))
    across = torch.lerp(patch[:, :, :1], patch[:, :, -1:], x)
    along = torch.lerp(patch[:, :1], patch[:, -1:], y[:, None])
    return patch - across - along + torch.lerp(across[:, :1], across[:, -1:], y[:, None])


def _free_offset(track: list[TrackFrame], clip: Tensor, sample: TrackDataSample) -> tuple[int, int] | None:
    """Draw an offset (x, y) that keeps a track in the frames and off other targets; None if none is found."""
    windows = torch.tensor([target.window for target in track])
    low, high = -windows[:, :2].amin(0), torch.tensor(clip.shape[:1:-1]) - windows[:, 2:].amax(0)
    if (high < low).any():
        return None
    for _ in range(_TRIES):
        offset = low + (torch.rand(2) * (high - low + 1)).long()
        moved = (windows + offset.repeat(2)).tolist()
        if not any(_overlaps(window, _boxes(sample[target.frame]))
                   for window, target in zip(moved, track, strict=True)):
            return tuple(offset.tolist())
    return None


def _boxes(frame: DetDataSample) -> Tensor:
    """Return the boxes of targets, then those that training ignores."""
    ignored = frame.ignored_instances.bboxes if 'ignored_instances' in frame else frame.gt_instances.bboxes[:0]
    return torch.cat([frame.gt_instances.bboxes, ignored])


def _overlaps(window: Sequence[int], boxes: Tensor) -> bool:
    x1, y1, x2, y2 = window
    return bool(((boxes[:, 0] < x2) & (boxes[:, 2] > x1) & (boxes[:, 1] < y2) & (boxes[:, 3] > y1)).any())
