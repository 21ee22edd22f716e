"""mmdet's Faster R-CNN heads without the work on boxes that cannot be among the results.

Per frame, mmdet sorts all anchors for the best of them, and compares all candidates for the few that NMS keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from mmcv.ops.nms import NMSop
from mmdet.models.dense_heads import RPNHead
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

# From this number of boxes on, mmcv's batched_nms suppresses each class by itself, unless split_thr is set.
_SPLIT_NMS = 10000


@MODELS.register_module()
class TopKRPNHead(RPNHead):
    """mmdet's RPNHead with the same proposals, bit for bit, and a fraction of the time after the network."""

    def _predict_by_feat_single(
            self, cls_score_list: Sequence[Tensor], bbox_pred_list: Sequence[Tensor],
            score_factor_list: Sequence[None], mlvl_priors: Sequence[Tensor], img_meta: dict, cfg: ConfigDict | None,
            rescale: bool = False, with_nms: bool = True) -> InstanceData:
        cfg = cfg or self.test_cfg
        levels = []
        for number, (logits, deltas, anchors) in enumerate(
                zip(cls_score_list, bbox_pred_list, mlvl_priors, strict=True)):
            logits = logits.permute(1, 2, 0).reshape(-1, self.cls_out_channels)
            scores = (logits.sigmoid() if self.use_sigmoid_cls else logits.softmax(-1)[:, :-1]).squeeze(1)
            deltas = deltas.permute(1, 2, 0).reshape(-1, self.bbox_coder.encode_size)
            if 0 < cfg.get('nms_pre', -1) < len(scores):
                scores, best = self.best_first(scores, cfg.nms_pre)
                deltas, anchors = deltas[best], anchors[best]
            levels.append((scores, deltas, anchors, torch.full_like(scores, number, dtype=torch.long)))
        scores, deltas, anchors, numbers = map(torch.cat, zip(*levels, strict=True))
        boxes = self.bbox_coder.decode(anchors, deltas, max_shape=img_meta['img_shape'])
        return self._bbox_post_process(
            InstanceData(bboxes=boxes, scores=scores, level_ids=numbers), with_short_nms(cfg, len(boxes)), rescale,
            with_nms, img_meta)

    def best_first(self, scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Choose the highest ``count`` of ``scores`` and their places; engines replace this method."""
        return best_as_sorted(scores, count)


@MODELS.register_module()
class TopKRoIHead(StandardRoIHead):
    """mmdet's StandardRoIHead with the same detections, bit for bit; NMS ends at ``max_per_img``."""

    def predict_bbox(
            self, x: Sequence[Tensor], batch_img_metas: list[dict], rpn_results_list: list[InstanceData],
            rcnn_test_cfg: ConfigDict, rescale: bool = False) -> list[InstanceData]:
        """Detect in proposals: see ``StandardRoIHead``."""
        most = max(map(len, rpn_results_list)) * self.bbox_head.num_classes
        return super().predict_bbox(
            x, batch_img_metas, rpn_results_list, rcnn_test_cfg and with_short_nms(rcnn_test_cfg, most), rescale)


def best_as_sorted(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """``scores.sort(descending=True)`` cut to the first ``count``, bit for bit.

    The order of equal scores is up to torch's sort, which differs between machines: where two are equal, it runs.

    Args:
        scores: ``(n,)``, n more than ``count``.

    Returns:
        Scores and their places in ``scores``.
    """
    best, places = scores.topk(count + 1)
    if not (best[1:] < best[:-1]).all():  # equal ones or NaN
        best, places = scores.sort(descending=True)
    return best[:count], places[:count]


def best_by_place(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Like :func:`best_as_sorted`, but equal scores are in the order of their places.

    For scores out of bfloat16, of which many are equal.
    """
    least = scores.topk(count, sorted=False).values.min()
    candidates = (~(scores < least)).nonzero().squeeze(1)
    best, order = scores[candidates].sort(descending=True, stable=True)
    return best[:count], candidates[order[:count]]


def with_short_nms(cfg: ConfigDict, most: int) -> ConfigDict:
    """Copy ``test_cfg`` with an NMS that ends at ``max_per_img``; the same config where that could make a difference.

    Args:
        most: a bound of the number of boxes before NMS.
    """
    keys = dict(cfg.nms)
    is_plain = keys.pop('type', 'nms') == 'nms' and keys.keys() <= {'iou_threshold', 'class_agnostic', 'split_thr'}
    if not is_plain or cfg.max_per_img <= 0 or most >= keys.get('split_thr', _SPLIT_NMS):
        return cfg
    return ConfigDict({**cfg, 'nms': {**keys, 'type': partial(first_kept, count=cfg.max_per_img)}})


def first_kept(boxes: Tensor, scores: Tensor, iou_threshold: float, count: int) -> tuple[Tensor, Tensor]:
    """``mmcv.ops.nms`` cut to the first ``count`` boxes, bit for bit.

    Whether NMS keeps a box depends on boxes of higher scores only, so the others need not be compared.

    Args:
        boxes: ``(n, 4)`` x1, y1, x2, y2.
        scores: ``(n,)``.
        iou_threshold: of the boxes that a kept one suppresses.
        count: at least 1.

    Returns:
        Boxes with scores ``(k, 5)``, the highest-scoring first, and their places in ``boxes``.
    """
    order = scores.sort(descending=True).indices  # as mmcv's kernel does, equal scores included
    kept = order[:0]
    for chunk in order.split(2 * count):
        candidates = torch.cat([kept, chunk])
        ranks = torch.arange(len(candidates), 0, -1, device=boxes.device, dtype=torch.float32)
        # mmcv's function inspects its own signature at each call, which takes 0.2 ms.
        kept = candidates[NMSop.apply(boxes[candidates], ranks, iou_threshold, 0, 0, -1)]
        if len(kept) >= count:
            break
    kept = kept[:count]
    return torch.cat([boxes[kept], scores[kept, None]], dim=1), kept
