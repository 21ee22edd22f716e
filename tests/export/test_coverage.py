"""What the export does not cover gets a sentence, not a wrong model."""

import pytest
from mmdet.datasets.transforms import Resize
from mmengine.dataset import Compose

from tests.export.conftest import SIZE, make_detector
from tests.tiny import tiny_detector
from tsm_det.errors import InputError
from tsm_det.export.coverage import check_coverage
from tsm_det.export.onnx import describe_resizing


@pytest.mark.parametrize(('changes', 'message'), [
    (dict(test_cfg=dict(rcnn=dict(nms=dict(type='soft_nms')))), "the test_cfg.rcnn.nms is {'type': 'soft_nms'"),
    (dict(test_cfg=dict(rpn=dict(nms=dict(class_agnostic=True)))), 'the test_cfg.rpn.nms is '),
    (dict(roi_head=dict(bbox_roi_extractor=dict(roi_layer=dict(aligned=False)))), 'the RoI layer is avg with aligned='),
    (dict(roi_head=dict(bbox_roi_extractor=dict(roi_layer=dict(pool_mode='max')))), 'the RoI layer is max'),
    (dict(rpn_head=dict(bbox_coder=dict(add_ctr_clamp=True))), 'the RPN coder is one with add_ctr_clamp'),
    (dict(rpn_head=dict(bbox_coder=dict(type='LegacyDeltaXYWHBBoxCoder'))), 'the RPN coder is LegacyDeltaXYWHBBox'),
    (dict(rpn_head=dict(anchor_generator=dict(type='LegacyAnchorGenerator', center_offset=0.5))), 'the anchor gen'),
    (dict(roi_head=dict(type='PISARoIHead')), 'the RoI head is PISARoIHead but the export covers StandardRoIHead'),
], ids=lambda value: value if isinstance(value, str) else '')
def test_a_detector_that_infers_otherwise_is_refused(changes, message):
    with pytest.raises(InputError) as error:
        check_coverage(tiny_detector(**changes))
    assert str(error.value).startswith(message)
    assert ' but the export covers ' in str(error.value)


def test_what_only_training_does_is_no_matter():
    check_coverage(tiny_detector(data_preprocessor=dict(type='TargetPastingPreprocessor', prob=0.5)))


def test_the_resizing_is_the_pipelines():
    resize, image = describe_resizing(make_detector(), SIZE)
    assert (resize, image.shape) == ({'scale': [128, 128], 'keep_ratio': True}, (128, 120, 3))


@pytest.mark.parametrize('steps', [
    [], [Resize(scale=(128, 128), interpolation='nearest')], [Resize(scale_factor=0.5)],
    [Resize(scale=(128, 128), keep_ratio=True), lambda results: {**results, 'img': 255 - results['img']}]])
def test_a_pipeline_that_changes_frames_otherwise_is_refused(steps):
    detector = make_detector()
    broadcaster, pack = detector.pipeline.transforms
    load = broadcaster.transforms.transforms[0]
    broadcaster.transforms = Compose([load, *steps])
    detector.pipeline = Compose([broadcaster, pack])
    with pytest.raises(InputError, match='the test pipeline has LoadImageFromNDArray.* but the export covers'):
        describe_resizing(detector, SIZE)


@pytest.mark.parametrize('size', [(0, 64), (64, -1)])
def test_a_size_without_pixels_is_refused(size):
    with pytest.raises(InputError, match="--size is .* but height and width of the video's frames are needed"):
        describe_resizing(make_detector(), size)


@pytest.mark.parametrize('size', [(37, 90), (90, 37), (128, 128), (255, 254), (720, 1280), (61, 5)])
def test_any_frame_is_resized_bit_for_bit(size):
    _, image = describe_resizing(make_detector(), size)  # refuses what the pipeline resizes otherwise
    assert max(image.shape[:2]) == 128
