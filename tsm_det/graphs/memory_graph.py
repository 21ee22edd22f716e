"""The graph of a two-stage detector whose box head reads a memory of past frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tsm_det.graphs.graph import DetectorGraph
from tsm_det.models.memory_roi_head import BoxRows, MemoryTape, box_rows
from tsm_det.shift import map_state, tensors_of


class MemoryGraph(DetectorGraph):
    """See :class:`DetectorGraph`; ``past.memory.0`` and ``.1`` are the past of the :class:`RoIMemory`."""

    def __init__(self, model: nn.Module, size: tuple[int, int], padded: tuple[int, int] | None = None) -> None:
        super().__init__(model, size, padded)
        self.fresh = self.fresh._replace(memory=model.roi_head.memory.empty(1))

    def detect(self, clip: Tensor, size: Sequence[int], *pasts: Tensor) -> tuple[Tensor, ...]:
        """Detect in the next frame: see :class:`DetectorGraph`."""
        rest = iter(pasts)
        past = map_state(lambda _: next(rest), self.fresh)
        levels, present = self.model.extract_clip(clip, past._replace(memory=()))
        with MemoryTape(len(past.memory), (1, 1), past.memory) as tape:
            detections = self.detections(levels, size)
        memory = tape.present(self.model.roi_head.memory.sites)
        return *detections, *tensors_of(present._replace(memory=memory))

    def box_head(self, crops: Tensor, places: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits and deltas, the memory read: proposals are in the order of their scores, crops by level."""
        with box_rows(BoxRows([crops.shape[0]], order=torch.cat(list(places)))):
            return super().box_head(crops, places)
