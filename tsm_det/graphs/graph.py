"""The detector in tensor operations only, so that it can be exported."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from operator import attrgetter

import torch
import torch.nn.functional as F
from mmcv.ops import RoIAlign
from mmdet.models.data_preprocessors import TrackDataPreprocessor
from mmdet.models.dense_heads import RPNHead
from mmdet.models.roi_heads import ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead, StandardRoIHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from mmdet.models.task_modules.prior_generators import AnchorGenerator
from torch import Tensor, nn

from tsm_det.datasets.pasting import TargetPastingPreprocessor
from tsm_det.errors import InputError
from tsm_det.graphs.kernels import nms, roi_align
from tsm_det.models.box_selection import TopKRoIHead, TopKRPNHead
from tsm_det.models.clip_preprocessor import ClipDataPreprocessor
from tsm_det.models.detectors import TSMFasterRCNN
from tsm_det.models.memory_roi_head import MemoryRoIHead
from tsm_det.models.roi_align import SeparableRoIExtractor
from tsm_det.shift import map_state, tensors_of

# Below every score, and the score of excluded boxes.
ANY_SCORE, NO_SCORE = -1.0, -2.0
# wh_ratio_clip of DeltaXYWHBBoxCoder.decode, whose callers never set it.
_LARGEST_STEP = abs(math.log(16 / 1000))
# Parts of a detector, where they are in it, and the types that the graph covers.
_TYPES = (
    ('detector', '', TSMFasterRCNN),
    ('data preprocessor', 'data_preprocessor', TrackDataPreprocessor, ClipDataPreprocessor,
     TargetPastingPreprocessor),
    ('RPN head', 'rpn_head', RPNHead, TopKRPNHead),
    ('anchor generator', 'rpn_head.prior_generator', AnchorGenerator),
    ('RPN coder', 'rpn_head.bbox_coder', DeltaXYWHBBoxCoder),
    ('RoI head', 'roi_head', StandardRoIHead, TopKRoIHead, MemoryRoIHead),
    ('RoI extractor', 'roi_head.bbox_roi_extractor', SingleRoIExtractor, SeparableRoIExtractor),
    ('box head', 'roi_head.bbox_head', ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead),
    ('box coder', 'roi_head.bbox_head.bbox_coder', DeltaXYWHBBoxCoder))


def check_coverage(model: nn.Module) -> None:
    """Raise InputError when a part of a two-stage detector infers differently from the graph."""
    raise_difference(_differences(model))


def raise_difference(differences: Iterator[tuple[str, str, str]]) -> None:
    """Raise InputError for the first of (part, what is given, what is covered)."""
    for part, given, supported in differences:
        raise InputError(f'the {part} is {given} but ONNX export and openvino-int8 cover {supported}: take a detector '
                         'like those of configs/, or another engine')


def _differences(model: nn.Module) -> Iterator[tuple[str, str, str]]:
    for part, path, *types in _TYPES:
        module = attrgetter(path)(model) if path else model
        if type(module) not in types:  # a subclass may infer differently
            yield part, type(module).__name__, ' or '.join(kind.__name__ for kind in types)
    rpn, roi, head = model.rpn_head, model.roi_head, model.roi_head.bbox_head
    if roi.with_mask or roi.with_shared_head:
        yield 'RoI head', 'one with masks or a shared head', 'boxes only'
    for layer in roi.bbox_roi_extractor.roi_layers:
        if type(layer) is not RoIAlign or layer.pool_mode != 'avg' or not layer.aligned:
            yield 'RoI layer', str(layer), "RoIAlign with pool_mode='avg' and aligned=True"
    if head.custom_cls_channels or not (head.with_cls and head.with_reg):
        yield 'box head', 'one with custom scores or without boxes', 'softmax scores and boxes'
    for part, coder in (('RPN coder', rpn.bbox_coder), ('box coder', head.bbox_coder)):
        if coder.add_ctr_clamp:
            yield part, 'one with add_ctr_clamp', 'add_ctr_clamp=False'
    yield from limit_differences('test_cfg.rpn', rpn.test_cfg)
    yield from limit_differences('test_cfg.rcnn', roi.test_cfg)


def limit_differences(name: str, config: dict) -> Iterator[tuple[str, str, str]]:
    """Yield limits of detections that the graph does not cover, as :func:`raise_difference` takes them."""
    keys = dict(config.nms)
    if keys.pop('type', 'nms') != 'nms' or set(keys) != {'iou_threshold'}:
        yield f'{name}.nms', str(dict(config.nms)), "dict(type='nms', iou_threshold=...)"
    if config.max_per_img < 1:
        yield f'{name}.max_per_img', str(config.max_per_img), 'numbers from 1'


class DetectorGraph(nn.Module):
    """``model.detect`` for one stream: image and pasts to boxes, scores, labels and presents.

    mmdet's inference branches on tensor values in Python; this module uses tensor operations only and reads every
    setting from the model, which must pass ``check_coverage`` and be on the CPU. In eager mode the outputs equal those
    of ``model.detect``, for images of any size.

    Args:
        model: the detector.
        size: (h, w) of the image that ``fresh``, the state of a new stream, fits.
        padded: (H, W) of the network's input; None for the least that the data preprocessor pads to.
    """

    def __init__(self, model: nn.Module, size: tuple[int, int], padded: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.model = model
        self.size = size
        self.padded = padded or tuple(side + padding for side, padding in zip(size, self._paddings(size), strict=True))
        with torch.no_grad():
            _, present = model.extract_clip(torch.zeros(1, 1, 3, *self.padded))
        self.fresh = map_state(torch.zeros_like, present)

    def forward(self, image: Tensor, *pasts: Tensor) -> tuple[Tensor, ...]:
        """Detect in the next frame ``(1, h, w, 3)`` BGR uint8, given one past ``(1, C_shift, H, W)`` per site.

        Returns ``boxes`` ``(k, 4)`` in px of the image, ``scores`` ``(k,)``, ``labels`` ``(k,)``, highest-scoring
        first; then one present per past. Sites are in the order of ``fresh``.
        """
        return self.detect(self._clip(image), image.shape[1:3], *pasts)

    def detect(self, clip: Tensor, size: Sequence[int], *pasts: Tensor) -> tuple[Tensor, ...]:
        """Detect in an image of this size (h, w), preprocessed to ``(1, 1, 3, H, W)``; otherwise as :meth:`forward`."""
        rest = iter(pasts)
        levels, present = self.model.extract_clip(clip, map_state(lambda _: next(rest), self.fresh))
        return *self.detections(levels, size), *tensors_of(present)

    def head(self) -> nn.Module:
        """Return the head on the pyramid."""
        return self.model.rpn_head

    def test_cfg(self) -> dict:
        """Return the limits of detections."""
        return self.model.roi_head.test_cfg

    def detections(self, levels: Sequence[Tensor], size: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes, scores and labels, as :meth:`forward` does."""
        return self._detections(*self._second_stage(levels, self._proposals(levels, size)), size)

    def priors_and_maps(self, levels: Sequence[Tensor]) -> Iterator[tuple[Tensor, ...]]:
        """Yield the priors of each level of the pyramid, and the maps that the head predicts for them."""
        head = self.head()
        priors = head.prior_generator.grid_priors([level.shape[-2:] for level in levels], device='cpu')
        return zip(priors, *head(levels), strict=True)

    def _paddings(self, size: Sequence[int]) -> list[int]:
        """Px that the data preprocessor adds at the bottom and at the right of an image (h, w)."""
        return [-side % self.model.data_preprocessor.pad_size_divisor for side in size]

    def _clip(self, image: Tensor) -> Tensor:
        """Preprocess an image to a clip ``(1, 1, 3, H, W)``."""
        preprocessor = self.model.data_preprocessor
        frame = image.permute(0, 3, 1, 2).float()
        if preprocessor._channel_conversion:
            frame = frame.flip(1)
        if preprocessor._enable_normalize:
            frame = (frame - preprocessor.mean) / preprocessor.std
        bottom, right = self._paddings(image.shape[1:3])
        return F.pad(frame, (0, right, 0, bottom), value=preprocessor.pad_value).unsqueeze(1)

    def _proposals(self, levels: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Boxes ``(k, 4)`` for the second stage, highest-scoring first."""
        head, config = self.model.rpn_head, self.model.rpn_head.test_cfg
        candidates = [self._candidates(*maps) for maps in self.priors_and_maps(levels)]
        scores, deltas, anchors = (torch.cat(part) for part in zip(*candidates, strict=True))
        boxes = self._decoded(anchors, deltas, head.bbox_coder, size)
        smallest = config.get('min_bbox_size', -1)
        if smallest >= 0:
            scores = scores.where((boxes[:, 2:] - boxes[:, :2] > smallest).all(1), NO_SCORE)
        numbers = torch.cat([torch.full_like(part[0], number) for number, part in enumerate(candidates)])
        return boxes[kept_boxes(boxes, scores, numbers, config, ANY_SCORE)]

    def _candidates(self, anchors: Tensor, logits: Tensor, deltas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores, deltas and anchors of a pyramid level, at most ``nms_pre``."""
        head = self.model.rpn_head
        logits = logits[0].permute(1, 2, 0).reshape(-1, head.cls_out_channels)
        scores = (logits.sigmoid() if head.use_sigmoid_cls else logits.softmax(-1))[:, 0]
        scores, best = highest(scores, head.test_cfg.nms_pre)
        return scores, deltas[0].permute(1, 2, 0).reshape(-1, 4)[best], anchors[best]

    def _second_stage(self, levels: Sequence[Tensor], proposals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Proposals sorted by the pyramid level of their size, with their scores and deltas."""
        layers = self.model.roi_head.bbox_roi_extractor.roi_layers
        numbers = self.model.roi_head.bbox_roi_extractor.map_roi_levels(F.pad(proposals, (1, 0)), len(layers))
        places = [(numbers == number).nonzero().squeeze(1) for number in range(len(layers))]
        groups = [proposals[place] for place in places]
        crops = torch.cat([
            roi_align(level, group, list(layer.output_size), layer.spatial_scale, layer.sampling_ratio)
            for level, group, layer in zip(levels, groups, layers, strict=False)])  # the last level serves the RPN only
        logits, deltas = self.box_head(crops, places)
        return torch.cat(groups), logits.softmax(-1), deltas

    def box_head(self, crops: Tensor, places: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits and deltas of crops, whose ``places`` among the proposals are given level by level."""
        return self.model.roi_head.bbox_head(crops)

    def _detections(self, proposals: Tensor, scores: Tensor, deltas: Tensor,
                    size: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        config, head = self.model.roi_head.test_cfg, self.model.roi_head.bbox_head
        boxes = proposals.unsqueeze(1).expand(-1, head.num_classes, 4).reshape(-1, 4)
        if head.reg_class_agnostic:
            deltas = deltas.repeat(1, head.num_classes)
        boxes = self._decoded(boxes, deltas.reshape(-1, 4), head.bbox_coder, size)
        scores = scores[:, :-1].reshape(-1)
        labels = torch.arange(head.num_classes).expand(proposals.shape[0], -1).reshape(-1)
        kept = kept_boxes(boxes, scores, labels, config, config.score_thr)
        return boxes[kept], scores[kept], labels[kept]

    def _decoded(self, boxes: Tensor, deltas: Tensor, coder: object, size: Sequence[int]) -> Tensor:
        """Apply deltas ``(n, 4)`` to boxes ``(n, 4)`` as DeltaXYWHBBoxCoder does, clipped to the image (h, w)."""
        deltas = deltas * deltas.new_tensor(coder.stds) + deltas.new_tensor(coder.means)
        centres, sides = (boxes[:, :2] + boxes[:, 2:]) * 0.5, boxes[:, 2:] - boxes[:, :2]
        centres = centres + sides * deltas[:, :2]
        halves = sides * deltas[:, 2:].clamp(-_LARGEST_STEP, _LARGEST_STEP).exp() * 0.5
        boxes = torch.cat([centres - halves, centres + halves], dim=1)
        return clipped(boxes, size) if coder.clip_border else boxes


def highest(scores: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The ``most`` highest scores, or all for a ``most`` below 1, and their places."""
    # sym_min also takes sizes that a trace leaves open.
    return scores.topk(scores.shape[0] if most < 1 else torch.sym_min(most, scores.shape[0]))


def clipped(boxes: Tensor, size: Sequence[int]) -> Tensor:
    """Clip boxes ``(n, 4)`` in px to an image (h, w)."""
    height, width = map(torch.scalar_tensor, size)
    return boxes.clamp(min=0).minimum(torch.stack([width, height] * 2))


def kept_boxes(boxes: Tensor, scores: Tensor, kinds: Tensor, config: dict, score_thr: float) -> Tensor:
    """Rows of the boxes to keep after NMS per kind, at most ``max_per_img``, highest-scoring first."""
    # Move boxes of different kinds apart, as mmcv's batched_nms does, rounding included.
    sides = boxes.where((scores > score_thr).unsqueeze(1), 0).flatten()
    largest = torch.cat([sides, sides.new_zeros(1)]).max()  # also without any box
    apart = boxes + kinds.to(boxes).unsqueeze(1) * (largest + 1)
    return nms(apart, scores, config.nms.iou_threshold, score_thr, config.max_per_img)
