"""Detectors with small box deltas, like trained ones, so that rounding errors stay small."""

import pytest
import torch

from tests.tiny import build, frame_sample, random_clip, tiny_model_config


@pytest.fixture
def make_model():
    def make_model(norm='BN', **changes):
        config = tiny_model_config(**changes)
        if norm == 'BN':
            config.backbone.norm_cfg = config.neck.norm_cfg = dict(type='BN')
        model = build(config)
        with torch.no_grad():
            for layer in (model.rpn_head.rpn_reg, model.roi_head.bbox_head.fc_reg):
                layer.weight *= 0.05
        return model
    return make_model


def stream(model, frames=4, streams=2, size=64):
    """Detections and states of some streams, frame by frame."""
    past, outputs = None, []
    with torch.no_grad():
        for k in range(frames):
            samples = [frame_sample(k, video, size) for video in range(streams)]
            detected, past = model.detect(random_clip(streams, 1, k, size), samples, past)
            outputs.append(([sample.pred_instances for sample in detected], past))
    return outputs


def assert_same_detections(outputs, expected, px=1e-4, score=1e-5):
    for (instances, _), (others, _) in zip(outputs, expected, strict=True):
        for one, other in zip(instances, others, strict=True):
            assert len(one) == len(other) > 0
            torch.testing.assert_close(one.bboxes, other.bboxes, rtol=0, atol=px)
            torch.testing.assert_close(one.scores, other.scores, rtol=0, atol=score)
            assert torch.equal(one.labels, other.labels)
