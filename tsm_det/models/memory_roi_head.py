"""A RoI head whose box head reads a memory of the proposals of past frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from mmdet.models.roi_heads import BaseRoIHead, CascadeRoIHead
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox2roi
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from tsm_det.errors import InputError
from tsm_det.models.box_selection import TopKRoIHead
from tsm_det.models.roi_memory import RoIMemory
from tsm_det.sites import Tape, bound_tape


@dataclass
class BoxRows:
    """The rows of a call of the box head: boxes of the first frame, then of the second, ...

    Args:
        counts: number of boxes per frame.
        order: places of the boxes in the order of their RPN scores; None if they are in this order.
        best: features ``(F, k, C)`` that the frames are remembered by, and where there are any, ``(F, k)``; None are
            those of the first k boxes of each frame, set by the call.
        reads: whether the boxes read the memory.
    """

    counts: Sequence[int]
    order: Tensor | None = None
    best: tuple[Tensor, Tensor] | None = None
    reads: bool = True


class _BoundRows(threading.local):
    rows: BoxRows | None = None


_bound = _BoundRows()


@contextmanager
def box_rows(rows: BoxRows) -> Iterator[BoxRows]:
    """Context manager: tells calls of the box head in this thread what their rows are."""
    outer, _bound.rows = _bound.rows, rows
    try:
        yield rows
    finally:
        _bound.rows = outer


class MemoryTape(Tape):
    """Context manager: holds past and present of a RoI memory.

    Args:
        numbers: ``(N, T)``, of the frames in their streams, minus the first; None: they are consecutive.
        args: see :class:`Tape`.
    """

    def __init__(self, *args, numbers: Tensor | None = None) -> None:
        super().__init__(*args)
        self.numbers = numbers


class RoIHeadWithMemory(BaseRoIHead):
    """A RoI head whose box head, of several stages the first, reads a memory in its last shared layer.

    The memory is a :class:`~tsm_det.models.roi_memory.RoIMemory`. A frame is remembered by the proposals with the
    highest RPN scores: by their outputs of that layer, without what they read. In training these are computed apart
    from the sampled boxes, which contain ground truth. ``stage_args`` are the parent's arguments for the first stage.

    Args:
        memory: keys of :class:`RoIMemory`.
        kwargs: the parent's keys; ``bbox_head`` has shared fully connected layers.

    Raises InputError when it has none.
    """

    stage_args: tuple = ()

    def __init__(self, *args, memory: dict | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        head = self.bbox_head[0] if self.stage_args else self.bbox_head
        if not len(getattr(head, 'shared_fcs', ())):
            raise InputError(f'{type(self).__name__} reads its memory in the last shared fully connected layer of the '
                             f'box head, but {type(head).__name__} has none: set roi_head.bbox_head.type to '
                             'Shared2FCBBoxHead')
        self.memory = RoIMemory(head.shared_out_channels, **(memory or {}))
        head.shared_fcs[-1].register_forward_hook(self._use_memory)

    def loss(self, x: Sequence[Tensor], rpn_results_list: list[InstanceData],
             batch_data_samples: list[DetDataSample]) -> dict:
        """Losses of the frames of clips: see the parent."""
        boxes = [proposals.bboxes[:self.memory.k] for proposals in rpn_results_list]
        with box_rows(BoxRows([len(frame) for frame in boxes], reads=False)):
            super()._bbox_forward(*self.stage_args, x, bbox2roi(boxes))
            return super().loss(x, rpn_results_list, batch_data_samples)

    def predict_bbox(
            self, x: Sequence[Tensor], batch_img_metas: list[dict], rpn_results_list: list[InstanceData],
            rcnn_test_cfg: ConfigDict, rescale: bool = False) -> list[InstanceData]:
        """Detect in proposals, the highest-scoring first: see the parent."""
        if not any(map(len, rpn_results_list)):  # the parent calls no box head then, but time passes
            self._bbox_forward(*self.stage_args, x, x[0].new_zeros(0, 5))
        return super().predict_bbox(x, batch_img_metas, rpn_results_list, rcnn_test_cfg, rescale)

    def _rows(self, x: Sequence[Tensor], rois: Tensor) -> AbstractContextManager[BoxRows]:
        """The rows of a call of the box head."""
        outer, num_frames = _bound.rows, len(x[0])
        counts = [len(rois)] if num_frames == 1 else rois[:, 0].long().bincount(minlength=num_frames).tolist()
        return box_rows(BoxRows(counts, best=outer.best if outer else None))

    def _use_memory(self, _layer: nn.Module, _inputs: tuple, outputs: Tensor) -> Tensor | None:
        rows, tape = _bound.rows, bound_tape()
        assert rows is not None  # mmdet runs the layer in _bbox_forward only
        features = outputs.to(self.memory.to_query.weight.dtype)
        if rows.best is None:
            rows.best = self._best(features, rows)
        if not rows.reads:
            return None
        read = partial(self.memory, _by_frame(features, rows.counts), *rows.best)
        if isinstance(tape, MemoryTape):
            enhanced, tape.presents[:] = read(tape.clip_shape, tape.pasts, tape.numbers)
        else:
            enhanced, _ = read((len(rows.counts), 1))
        return _in_rows(enhanced, rows.counts).to(outputs.dtype)

    def _best(self, features: Tensor, rows: BoxRows) -> tuple[Tensor, Tensor]:
        """Features ``(F, k, C)`` of the first boxes of each frame, and where there are any, ``(F, k)``."""
        k = self.memory.k
        if rows.order is None and min(rows.counts) >= k:  # the usual case, without copies
            best = _by_frame(features, rows.counts)[:, :k]
            return best, best.new_ones(best.shape[:2], dtype=torch.bool)
        features = features if rows.order is None else features[rows.order.argsort()]
        best = torch.stack([F.pad(F.pad(frame[:k], (0, 1), value=1), (0, 0, 0, k))[:k]
                            for frame in features.split(rows.counts)])
        return best[..., :-1], best[..., -1] != 0


@MODELS.register_module()
class MemoryRoIHead(RoIHeadWithMemory, TopKRoIHead):
    """``TopKRoIHead`` whose box head reads a memory, for Faster and Mask R-CNN; see :class:`RoIHeadWithMemory`."""

    def __init__(self, *args, **kwargs) -> None:
        if 'num_stages' in kwargs:
            raise InputError('MemoryRoIHead has one stage but the config says num_stages: set roi_head.type to '
                             'MemoryCascadeRoIHead')
        super().__init__(*args, **kwargs)

    def _bbox_forward(self, x: Sequence[Tensor], rois: Tensor) -> dict:
        with self._rows(x, rois):
            return super()._bbox_forward(x, rois)


@MODELS.register_module()
class MemoryCascadeRoIHead(RoIHeadWithMemory, CascadeRoIHead):
    """mmdet's ``CascadeRoIHead`` whose first stage reads a memory; see :class:`RoIHeadWithMemory`."""

    stage_args = (0,)

    def _bbox_forward(self, stage: int, x: Sequence[Tensor], rois: Tensor) -> dict:
        with self._rows(x, rois):
            return super()._bbox_forward(stage, x, rois)


def _by_frame(rows: Tensor, counts: Sequence[int]) -> Tensor:
    """``(F, most, C)`` of rows ``(n, C)``, zeros after those of a frame."""
    if len(counts) == 1:
        return rows.unsqueeze(0)
    return pad_sequence(rows.split(counts), batch_first=True)


def _in_rows(frames: Tensor, counts: Sequence[int]) -> Tensor:
    """Rows ``(n, C)`` of ``(F, most, C)``, without those that :func:`_by_frame` added."""
    if len(counts) == 1:
        return frames.squeeze(0)
    return torch.cat([frame[:count] for frame, count in zip(frames, counts, strict=True)])
