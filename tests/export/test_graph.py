"""The graph in eager mode; needs no onnx package."""

import pytest
import torch
from torch.testing import assert_close

from tests.tiny import frame_sample, tiny_detector
from tsm_det.graphs.graph import DetectorGraph, check_coverage
from tsm_det.shift import tensors_of

HEIGHT, WIDTH = 52, 64  # padded to 64x64


def stream(model, num_frames=3):
    """Detections and presents of the model and its graph, frame by frame."""
    graph = DetectorGraph(model, (HEIGHT, WIDTH))
    sample = frame_sample()
    sample.set_metainfo({'img_shape': (HEIGHT, WIDTH), 'ori_shape': (HEIGHT, WIDTH)})
    past, pasts = None, tensors_of(graph.fresh)
    images = torch.randint(0, 256, (num_frames, 1, HEIGHT, WIDTH, 3), generator=torch.Generator().manual_seed(0))
    for image in images.to(torch.uint8):
        clip = model.data_preprocessor({'inputs': [image.permute(0, 3, 1, 2)], 'data_samples': None})['inputs']
        (expected,), past = model.detect(clip, [sample], past)
        expected = expected.pred_instances
        boxes, scores, labels, *pasts = graph(image, *pasts)
        yield (expected.bboxes, expected.scores, expected.labels, *tensors_of(past)), (boxes, scores, labels, *pasts)


@pytest.mark.parametrize('changes', [
    {},
    dict(neck=dict(shift_at='inner')),
    dict(backbone=dict(shift_stages=(1, 2)), neck=dict(shift_levels=(0, 3))),
    dict(backbone=dict(shift_stages=()), neck=dict(shift_levels=())),
    dict(roi_head=dict(bbox_head=dict(reg_class_agnostic=True))),
    dict(roi_head=dict(bbox_roi_extractor=dict(finest_scale=4))),
    dict(roi_head=dict(bbox_roi_extractor=dict(roi_layer=dict(sampling_ratio=0)))),
    dict(rpn_head=dict(loss_cls=dict(use_sigmoid=False))),
    dict(rpn_head=dict(bbox_coder=dict(clip_border=False, target_stds=[0.5, 0.5, 0.2, 0.2]))),
    dict(test_cfg=dict(rpn=dict(min_bbox_size=20))),
    dict(test_cfg=dict(rpn=dict(nms_pre=7, max_per_img=5))),
    dict(test_cfg=dict(rcnn=dict(score_thr=0.25, nms=dict(iou_threshold=0.3)))),
    dict(data_preprocessor=dict(bgr_to_rgb=False, pad_value=3)),
], ids=str)
@torch.no_grad()
def test_the_graph_equals_the_model_over_a_stream(changes):
    model = tiny_detector(**changes)
    check_coverage(model)
    numbers = []
    for expected, got in stream(model):
        assert_close(got, expected, atol=1e-4, rtol=1e-5)
        numbers.append(len(got[0]))
    assert min(numbers) > 0


@pytest.mark.parametrize('changes', [
    dict(test_cfg=dict(rpn=dict(min_bbox_size=1000))), dict(test_cfg=dict(rcnn=dict(score_thr=1.0)))],
    ids=['no proposal', 'no detection'])
@torch.no_grad()
def test_no_detection_is_an_empty_result(changes):
    for (boxes, scores, labels, *_), got in stream(tiny_detector(**changes)):
        assert len(boxes) == len(scores) == len(labels) == 0
        assert [tuple(part.shape) for part in got[:3]] == [(0, 4), (0,), (0,)]
        assert got[2].dtype == torch.int64


@torch.no_grad()
def test_the_past_reaches_the_detections():
    model = tiny_detector()
    graph = DetectorGraph(model, (HEIGHT, WIDTH))
    image = torch.randint(0, 256, (1, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    first = graph(image, *tensors_of(graph.fresh))
    second = graph(image, *first[3:])
    assert (first[0].shape, (first[0] - second[0]).abs().max() > 1) == (second[0].shape, True)
