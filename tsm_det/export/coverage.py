"""Which detectors can be written as a graph: those whose inference ``DetectorGraph`` spells out, and no others."""

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
    """Raise InputError when a part of the detector infers in another way than the graph would."""
    for part, what, needed in _differences(model):
        raise InputError(f'the {part} is {what} but the export covers {needed}: export a detector like '
                         'configs/tsm_faster_rcnn_r50_vid.py')


def _differences(model: nn.Module) -> Iterator[tuple[str, str, str]]:
    # Exact types: a subclass may infer differently.
    yield from _other_type('detector', model, TSMFasterRCNN)
    yield from _other_type(
        'data preprocessor', model.data_preprocessor, TrackDataPreprocessor, TargetPastingPreprocessor)
    rpn, roi = model.rpn_head, model.roi_head
    yield from _other_type('RPN head', rpn, RPNHead)
    yield from _other_type('anchor generator', rpn.prior_generator, AnchorGenerator)
    yield from _other_type('RoI head', roi, StandardRoIHead)
    if roi.with_mask or roi.with_shared_head:
        yield 'RoI head', 'one with masks or a shared head', 'boxes only'
    yield from _other_type('RoI extractor', roi.bbox_roi_extractor, SingleRoIExtractor)
    for layer in roi.bbox_roi_extractor.roi_layers:
        yield from _other_type('RoI layer', layer, RoIAlign)
        if layer.pool_mode != 'avg' or not layer.aligned:
            yield 'RoI layer', f'{layer.pool_mode} with aligned={layer.aligned}', 'avg with aligned=True'
    head = roi.bbox_head
    yield from _other_type('box head', head, ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead)
    if head.custom_cls_channels or not (head.with_cls and head.with_reg):
        yield 'box head', 'one with its own kind of scores or without boxes', 'softmax scores and boxes'
    for name, coder in (('RPN', rpn.bbox_coder), ('box', head.bbox_coder)):
        yield from _other_type(f'{name} coder', coder, DeltaXYWHBBoxCoder)
        if coder.add_ctr_clamp:
            yield f'{name} coder', 'one with add_ctr_clamp', 'add_ctr_clamp=False'
    for name, config in (('rpn', rpn.test_cfg), ('rcnn', roi.test_cfg)):
        nms = dict(config.nms)
        if nms.pop('type', 'nms') != 'nms' or set(nms) != {'iou_threshold'}:
            yield f'test_cfg.{name}.nms', str(dict(config.nms)), "dict(type='nms', iou_threshold=...)"


def _other_type(part: str, thing: object, *types: type) -> Iterator[tuple[str, str, str]]:
    if type(thing) not in types:
        yield part, type(thing).__name__, ' or '.join(kind.__name__ for kind in types)
