"""Results as plain values: which detections to keep, and how to write them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import torch
from mmcv.ops import nms
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from tsm_det.errors import InputError

# Overlap (IoU) from which boxes of any class count as one object.
_ONE_OBJECT_IOU = 0.5


class Selection(NamedTuple):
    """Which detections to keep, beside the lowest score of all classes.

    Attributes:
        classes: names of the classes to keep; None keeps all.
        class_thrs: lowest scores by class, in place of the one of all.
        min_size: least width and height in px.
        is_agnostic: of overlapping boxes (IoU above 0.5) keep the highest-scoring one, whatever their classes.
    """

    classes: Collection[str] | None = None
    class_thrs: Mapping[str, float] = MappingProxyType({})
    min_size: float = 0.0
    is_agnostic: bool = False

    def check(self, classes: Sequence[str]) -> None:
        """Raise InputError when a class is not among a detector's ``classes``, or a number is out of range."""
        for flag, names in (('--classes', self.classes or ()), ('--class-thr', self.class_thrs)):
            if unknown := [name for name in names if name not in classes]:
                raise InputError(f'{flag} names {unknown[0]!r} but the classes are {", ".join(classes)}: name these')
        for name, score_thr in self.class_thrs.items():
            if not 0 <= score_thr <= 1:
                raise InputError(f'--class-thr is {score_thr} for {name} but must be from 0 to 1')
        if not 0 <= self.min_size < float('inf'):
            raise InputError(f'--min-size is {self.min_size} but must be a number of px from 0')

    def of(self, instances: InstanceData, classes: Sequence[str], score_thr: float) -> InstanceData:
        """The instances to keep, the highest-scoring first."""
        thrs = [self.class_thrs.get(name, score_thr) if self.classes is None or name in self.classes else float('inf')
                for name in classes]
        instances = instances[instances.scores.argsort(descending=True)]
        instances = instances[instances.scores.double() >= torch.tensor(thrs, dtype=torch.float64)[instances.labels]]
        if self.min_size:
            sides = instances.bboxes[:, 2:] - instances.bboxes[:, :2]
            instances = instances[~(sides < self.min_size).any(dim=1)]  # NaN stays, to be reported
        if self.is_agnostic and len(instances):
            instances = instances[nms(instances.bboxes, instances.scores, _ONE_OBJECT_IOU)[1]]
        return instances


KEEP_ALL = Selection()


def detections_of(sample: DetDataSample, classes: Sequence[str], score_thr: float = 0.0,
                  selection: Selection = KEEP_ALL) -> list[dict]:
    """Detections of at least ``score_thr`` in a selection, the highest-scoring first.

    Returns:
        ``{'bbox': [x1, y1, x2, y2], 'score', 'label', 'class'}`` per detection: px, label 0-based; with ``'track_id'``
        from 1 if it has a track, and ``'predicted': True`` in a frame without detection.
    """
    instances = selection.of(sample.pred_instances.cpu(), classes, score_thr)
    is_predicted = sample.metainfo.get('predicted', False)
    ids = instances.get('track_ids', torch.zeros(len(instances), dtype=torch.int64))
    return [
        {'bbox': [round(side, 2) for side in box], 'score': round(score, 4), 'label': label, 'class': classes[label],
         **({'track_id': track_id} if track_id else {}), **({'predicted': True} if is_predicted else {})}
        for box, score, label, track_id in zip(
            instances.bboxes.tolist(), instances.scores.tolist(), instances.labels.tolist(), ids.tolist(), strict=True)]
