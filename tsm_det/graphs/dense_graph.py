"""The graph of a single-stage detector whose head predicts scores and boxes for each prior."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from mmdet.models.dense_heads import ATSSHead, FCOSHead, RetinaHead, RTMDetSepBNHead
from mmdet.models.detectors import SingleStageDetector
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder, DistancePointBBoxCoder
from mmdet.models.task_modules.prior_generators import AnchorGenerator, MlvlPointGenerator
from torch import Tensor, nn

from tsm_det.graphs.graph import (
    ANY_SCORE,
    NO_SCORE,
    DetectorGraph,
    clipped,
    highest,
    kept_boxes,
    limit_differences,
)

_HEADS = (RetinaHead, FCOSHead, ATSSHead, RTMDetSepBNHead)
_PRIORS = (AnchorGenerator, MlvlPointGenerator)
_CODERS = (DeltaXYWHBBoxCoder, DistancePointBBoxCoder)


def is_single_stage(model: nn.Module) -> bool:
    """Whether a detector has one head, on its pyramid."""
    return isinstance(model, SingleStageDetector)


def dense_differences(model: nn.Module) -> Iterator[tuple[str, str, str]]:
    """Yield parts that infer differently from :class:`DenseGraph`: part, what is given, what is covered."""
    head = model.bbox_head
    for part, path, types in (('head', '', _HEADS), ('prior generator', 'prior_generator', _PRIORS),
                              ('box coder', 'bbox_coder', _CODERS)):
        module = getattr(head, path) if path else head
        if type(module) not in types:  # a subclass may infer differently
            yield part, type(module).__name__, ' or '.join(kind.__name__ for kind in types)
    if getattr(head.loss_cls, 'custom_cls_channels', False):
        yield 'head', 'one with custom scores', 'sigmoid or softmax scores'
    yield from limit_differences('test_cfg', head.test_cfg)


class DenseGraph(DetectorGraph):
    """:class:`DetectorGraph` of a single-stage detector, for models that pass ``check_coverage``."""

    def head(self) -> nn.Module:
        """Return the head on the pyramid."""
        return self.model.bbox_head

    def test_cfg(self) -> dict:
        """Return the limits of detections."""
        return self.model.bbox_head.test_cfg

    def detections(self, levels: Sequence[Tensor], size: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`DetectorGraph`."""
        head, config = self.head(), self.test_cfg()
        candidates = [self._candidates(*maps) for maps in self.priors_and_maps(levels)]
        scores, labels, deltas, priors = (torch.cat(part) for part in zip(*candidates, strict=True))
        boxes = head.bbox_coder.decode(priors, deltas)
        if head.bbox_coder.clip_border:
            boxes = clipped(boxes, size)
        if config.get('min_bbox_size', -1) >= 0:
            scores = scores.where((boxes[:, 2:] - boxes[:, :2] > config.min_bbox_size).all(1), NO_SCORE)
        kept = kept_boxes(boxes, scores, labels, config, ANY_SCORE)
        return boxes[kept], scores[kept], labels[kept]

    def _candidates(self, priors: Tensor, logits: Tensor, deltas: Tensor, factors: Tensor | None = None) -> tuple:
        """Scores, labels, deltas and priors of a level, at most ``nms_pre``; NO_SCORE below the threshold."""
        head, config = self.head(), self.test_cfg()
        logits = logits[0].permute(1, 2, 0).reshape(-1, head.cls_out_channels)
        scores = logits.sigmoid() if head.use_sigmoid_cls else logits.softmax(-1)[:, :-1]
        classes = scores.shape[1]
        scores = scores.flatten()
        scores = scores.where(scores > config.get('score_thr', 0), NO_SCORE)
        scores, chosen = highest(scores, config.get('nms_pre', -1))
        places = chosen // classes
        if factors is not None:
            factors = factors[0].permute(1, 2, 0).flatten().sigmoid()
            scores = (scores * factors[places]).where(scores > NO_SCORE, NO_SCORE)
        deltas = deltas[0].permute(1, 2, 0).reshape(-1, 4)
        return scores, chosen % classes, deltas[places], priors[places]
