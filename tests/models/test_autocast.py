"""Autocast on a CPU: convolutions on maps in bfloat16, boxes and losses in float32."""

import copy

import pytest
import torch

from tests.tiny import clip_sample, random_clip, tiny_detector
from tsm_det.models.autocast import on_maps, only_on_maps


def test_backbone_neck_and_rpn_compute_in_bfloat16_and_boxes_in_float32():
    detector, types = tiny_detector(), {}

    def watch(part, name, value=lambda outputs: outputs):
        def note(_module, _inputs, outputs):
            types[name] = value(outputs).dtype
        detector.get_submodule(part).register_forward_hook(note)
    for part in ('backbone.conv1', 'neck.fpn_convs.0.conv', 'rpn_head.rpn_conv', 'roi_head.bbox_head.fc_cls'):
        watch(part, part)
    watch('rpn_head', 'rpn', lambda outputs: outputs[1][0])
    with torch.autocast('cpu', torch.bfloat16):
        detector.detect(random_clip(1, 3), [clip_sample(range(3))])
    assert types == {'backbone.conv1': torch.bfloat16, 'neck.fpn_convs.0.conv': torch.bfloat16,
                     'rpn_head.rpn_conv': torch.bfloat16, 'roi_head.bbox_head.fc_cls': torch.float32,
                     'rpn': torch.float32}


def test_after_an_error_in_a_head_the_next_call_is_as_before():
    detector, clip = tiny_detector(), random_clip(1, 3)
    convolution, detector.rpn_head.rpn_conv = detector.rpn_head.rpn_conv, None
    with torch.autocast('cpu', torch.bfloat16), pytest.raises(TypeError):
        detector.detect(clip, [clip_sample(range(3))])
    assert not torch.is_autocast_enabled('cpu')
    detector.rpn_head.rpn_conv = convolution
    fresh = copy.deepcopy(detector)
    [found, *_], _ = detector.detect(clip, [clip_sample(range(3))])
    [expected, *_], _ = fresh.detect(clip, [clip_sample(range(3))])
    assert torch.equal(found.pred_instances.bboxes, expected.pred_instances.bboxes)


def test_without_an_outer_autocast_nothing_changes():
    with only_on_maps('cpu'), on_maps('cpu'):
        assert not torch.is_autocast_enabled('cpu')
    with torch.autocast('cpu', torch.bfloat16), only_on_maps('cpu'):
        assert not torch.is_autocast_enabled('cpu')
        with on_maps('cpu'):
            assert torch.is_autocast_enabled('cpu')
