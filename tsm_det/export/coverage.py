"""Check that a detector's inference is the one that ``DetectorGraph`` implements."""

from __future__ import annotations

from collections.abc import Iterator

from mmcv.ops import RoIAlign
from mmdet.models.data_preprocessors import TrackDataPreprocessor
from mmdet.models.dense_heads import RPNHead
from mmdet.models.roi_heads import ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead, StandardRoIHead
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from mmdet.models.task_modules.prior_generators import AnchorGenerator
from torch import nn

from tsm_det.datasets.pasting import TargetPastingPreprocessor
from tsm_det.errors import InputError
from tsm_det.models.faster_rcnn import TSMFasterRCNN


def check_coverage(model: nn.Module) -> None:
    """Raise InputError when a part of the detector infers differently from the graph."""
    for part, given, supported in _differences(model):
        raise InputError(f'the {part} is {given} but the export covers {supported}: export a detector like '
                         'configs/tsm_faster_rcnn_r50_vid.py')


def _differences(model: nn.Module) -> Iterator[tuple[str, str, str]]:
    rpn, roi, head = model.rpn_head, model.roi_head, model.roi_head.bbox_head
    layers, coders = roi.bbox_roi_extractor.roi_layers, {'RPN coder': rpn.bbox_coder, 'box coder': head.bbox_coder}
    for part, module, *types in (
            ('detector', model, TSMFasterRCNN),
            ('data preprocessor', model.data_preprocessor, TrackDataPreprocessor, TargetPastingPreprocessor),
            ('RPN head', rpn, RPNHead), ('anchor generator', rpn.prior_generator, AnchorGenerator),
            ('RoI head', roi, StandardRoIHead), ('RoI extractor', roi.bbox_roi_extractor, SingleRoIExtractor),
            *(('RoI layer', layer, RoIAlign) for layer in layers),
            ('box head', head, ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead),
            *((part, coder, DeltaXYWHBBoxCoder) for part, coder in coders.items())):
        if type(module) not in types:  # a subclass may infer differently
            yield part, type(module).__name__, ' or '.join(kind.__name__ for kind in types)
    if roi.with_mask or roi.with_shared_head:
        yield 'RoI head', 'one with masks or a shared head', 'boxes only'
    for layer in layers:
        if layer.pool_mode != 'avg' or not layer.aligned:
            yield 'RoI layer', f'{layer.pool_mode} with aligned={layer.aligned}', 'avg with aligned=True'
    if head.custom_cls_channels or not (head.with_cls and head.with_reg):
        yield 'box head', 'one with custom scores or without boxes', 'softmax scores and boxes'
    for part, coder in coders.items():
        if coder.add_ctr_clamp:
            yield part, 'one with add_ctr_clamp', 'add_ctr_clamp=False'
    for name, config in (('rpn', rpn.test_cfg), ('rcnn', roi.test_cfg)):
        nms = dict(config.nms)
        if nms.pop('type', 'nms') != 'nms' or set(nms) != {'iou_threshold'}:
            yield f'test_cfg.{name}.nms', str(dict(config.nms)), "dict(type='nms', iou_threshold=...)"
