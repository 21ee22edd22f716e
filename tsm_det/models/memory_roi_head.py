"""A RoI head whose box head reads a memory of the proposals of past frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
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


@MODELS.register_module()
class MemoryRoIHead(TopKRoIHead):
    """``TopKRoIHead`` whose box head reads a :class:`~tsm_det.models.roi_memory.RoIMemory` in its last shared layer.

    A frame is remembered by the proposals with the highest RPN scores: by their outputs of that layer, without what
    they read. In training these are computed apart from the sampled boxes, which contain ground truth.

    Args:
        memory: keys of :class:`RoIMemory`.
        kwargs: the parent's keys; ``bbox_head`` has shared fully connected layers.

    Raises InputError when it has none, or for a head of several stages.
    """

    def __init__(self, *args, memory: dict | None = None, **kwargs) -> None:
        if 'num_stages' in kwargs:
            raise InputError('MemoryRoIHead is a head of one stage but the config has one of several (num_stages): '
                             'choose Faster R-CNN or Mask R-CNN')
        super().__init__(*args, **kwargs)
        if not len(getattr(self.bbox_head, 'shared_fcs', ())):
            raise InputError('MemoryRoIHead reads its memory in the last shared fully connected layer of the box head, '
                             f'but {type(self.bbox_head).__name__} has none: set roi_head.bbox_head.type to '
                             'Shared2FCBBoxHead')
        self.memory = RoIMemory(self.bbox_head.shared_out_channels, **(memory or {}))
        self.bbox_head.shared_fcs[-1].register_forward_hook(self._use_memory)

    def loss(self, x: Sequence[Tensor], rpn_results_list: list[InstanceData],
             batch_data_samples: list[DetDataSample]) -> dict:
        """Losses of the frames of clips: see ``StandardRoIHead``."""
        boxes = [proposals.bboxes[:self.memory.k] for proposals in rpn_results_list]
        with box_rows(BoxRows([len(frame) for frame in boxes], reads=False)):
            super()._bbox_forward(x, bbox2roi(boxes))
            return super().loss(x, rpn_results_list, batch_data_samples)

    def predict_bbox(
            self, x: Sequence[Tensor], batch_img_metas: list[dict], rpn_results_list: list[InstanceData],
            rcnn_test_cfg: ConfigDict, rescale: bool = False) -> list[InstanceData]:
        """Detect in proposals, the highest-scoring first: see ``StandardRoIHead``."""
        if not any(map(len, rpn_results_list)):  # the parent calls no box head then, but time passes
            self._bbox_forward(x, x[0].new_zeros(0, 5))
        return super().predict_bbox(x, batch_img_metas, rpn_results_list, rcnn_test_cfg, rescale)

    def _bbox_forward(self, x: Sequence[Tensor], rois: Tensor) -> dict:
        counts, outer = rois[:, 0].long().bincount(minlength=len(x[0])).tolist(), _bound.rows
        with box_rows(BoxRows(counts, best=outer.best if outer else None)):
            return super()._bbox_forward(x, rois)

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
        return torch.cat([frame[:count] for frame, count in zip(enhanced, rows.counts, strict=True)]).to(outputs.dtype)

    def _best(self, features: Tensor, rows: BoxRows) -> tuple[Tensor, Tensor]:
        """Features ``(F, k, C)`` of the first boxes of each frame, and where there are any, ``(F, k)``."""
        features = features if rows.order is None else features[rows.order.argsort()]
        k = self.memory.k
        best = torch.stack([F.pad(F.pad(frame[:k], (0, 1), value=1), (0, 0, 0, k))[:k]
                            for frame in features.split(rows.counts)])
        return best[..., :-1], best[..., -1] != 0


def _by_frame(rows: Tensor, counts: Sequence[int]) -> Tensor:
    """``(F, most, C)`` of rows ``(n, C)``, zeros after those of a frame."""
    if len(counts) == 1:
        return rows.unsqueeze(0)
    return pad_sequence(rows.split(counts), batch_first=True)
