"""The export refuses detectors, pipelines and sizes that it does not cover."""

import pytest
from mmdet.datasets.transforms import Resize
from mmengine.dataset import Compose
from torch import nn

from tests.export.conftest import SIZE, make_detector
from tests.tiny import tiny_detector
from tsm_det.errors import InputError
from tsm_det.export.onnx import describe_resizing
from tsm_det.graphs.graph import check_coverage


@pytest.mark.parametrize(('changes', 'facts'), [
    (dict(test_cfg=dict(rcnn=dict(nms=dict(type='soft_nms')))), 'rcnn.nms .*soft_nms'),
    (dict(test_cfg=dict(rpn=dict(nms=dict(class_agnostic=True)))), 'rpn.nms .*class_agnostic'),
    (dict(test_cfg=dict(rcnn=dict(max_per_img=-1))), 'rcnn.max_per_img is -1 .* 1'),
    (dict(test_cfg=dict(rpn=dict(max_per_img=0))), 'rpn.max_per_img is 0 .* 1'),
    (dict(roi_head=dict(bbox_roi_extractor=dict(type='SingleRoIExtractor', roi_layer=dict(aligned=False)))),
     'RoI layer .*aligned=False'),
    (dict(roi_head=dict(bbox_roi_extractor=dict(type='SingleRoIExtractor', roi_layer=dict(pool_mode='max')))),
     'RoI layer .*max'),
    (dict(rpn_head=dict(bbox_coder=dict(add_ctr_clamp=True))), 'RPN coder .*add_ctr_clamp'),
    (dict(rpn_head=dict(bbox_coder=dict(type='LegacyDeltaXYWHBBoxCoder'))), 'RPN coder .*LegacyDeltaXYWHBBoxCoder'),
    (dict(rpn_head=dict(anchor_generator=dict(type='LegacyAnchorGenerator', center_offset=0.5))),
     'anchor generator .*LegacyAnchorGenerator'),
    (dict(roi_head=dict(type='PISARoIHead')), 'RoI head .*PISARoIHead .*StandardRoIHead'),
], ids=lambda value: value if isinstance(value, str) else '')
def test_a_detector_that_infers_differently_is_refused(changes, facts):
    with pytest.raises(InputError, match=facts):
        check_coverage(tiny_detector(**changes))


def test_another_detector_is_refused_by_its_type():
    with pytest.raises(InputError, match='Identity .*TSMFasterRCNN'):
        check_coverage(nn.Identity())


def test_parts_for_training_only_are_covered():
    check_coverage(tiny_detector(data_preprocessor=dict(type='TargetPastingPreprocessor', prob=0.5)))


@pytest.mark.parametrize('steps', [
    [], [Resize(scale=(128, 128), interpolation='nearest')], [Resize(scale_factor=0.5)],
    [Resize(scale=(128, 128), keep_ratio=True), lambda results: {**results, 'img': 255 - results['img']}]])
def test_a_pipeline_that_changes_frames_differently_is_refused(steps):
    detector = make_detector()
    broadcaster, pack = detector.pipeline.transforms
    load = broadcaster.transforms.transforms[0]
    broadcaster.transforms = Compose([load, *steps])
    detector.pipeline = Compose([broadcaster, pack])
    with pytest.raises(InputError, match='LoadImageFromNDArray'):
        describe_resizing(detector, SIZE)


@pytest.mark.parametrize('size', [(0, 64), (64, -1)])
def test_a_size_without_pixels_is_refused(size):
    with pytest.raises(InputError, match=f'--size is {size[0]} {size[1]}'):
        describe_resizing(make_detector(), size)


@pytest.mark.parametrize('size', [SIZE, (37, 90), (90, 37), (128, 128), (255, 254), (720, 1280), (61, 5)])
def test_the_resizing_is_the_pipelines_bit_for_bit(size):
    resize, image_size = describe_resizing(make_detector(), size)  # refuses any other result
    assert resize == {'scale': [128, 128], 'keep_ratio': True}
    assert max(image_size) == 128
