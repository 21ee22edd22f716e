"""What the detector refuses, and mmdet's contracts that stay."""

import pickle

import pytest
import torch
from mmdet.registry import MODELS

from tests.tiny import clip_sample, frame_sample, random_clip, tiny_detector, tiny_model_config


@pytest.fixture(scope='module')
def detector():
    return tiny_detector()


def test_a_backbone_without_time_is_refused():
    config = tiny_model_config()
    config.backbone.type = 'ResNet'
    with pytest.raises(TypeError, match='backbone is ResNet .*forward_clip'):
        MODELS.build(config)


@torch.no_grad()
def test_images_are_first_frames_of_their_own_streams():
    detector, images = tiny_detector().double(), random_clip(3, 1).double()
    together = detector.extract_feat(images[:, 0])
    for i in range(3):
        alone, _ = detector.extract_clip(images[i:i + 1])
        for one, two in zip(together, alone, strict=True):
            torch.testing.assert_close(one[i:i + 1], two)


@torch.no_grad()
def test_forward_takes_mmdets_modes_for_images_and_clips(detector):
    clip, images = random_clip(2, 2), random_clip(2, 1)[:, 0]
    samples, clips = [frame_sample(k) for k in range(2)], [clip_sample(range(2), video) for video in (1, 2)]
    assert len(detector(images, samples, mode='predict')) == 2
    assert len(detector(images, samples, mode='tensor')[0]) == 2
    assert detector(clip, clips, mode='tensor')[0][0].shape[0] == 4 * detector(
        images[:1], samples[:1], mode='tensor')[0][0].shape[0]
    boxes = torch.tensor([[8.0, 8.0, 40.0, 40.0]])
    losses = detector(clip, [clip_sample(range(2), video, boxes=boxes) for video in (1, 2)], mode='loss')
    assert {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox', 'acc'} == set(losses)


@torch.no_grad()
def test_clips_of_two_streams_are_detected_in_n_major_order():
    detector = tiny_detector(streams=dict(capacity=2))
    clip = random_clip(2, 3)
    clips = detector.predict(clip, [clip_sample(range(3), 1), clip_sample(range(3), 2)])
    for i in range(2):
        alone, _ = detector.detect(clip[i:i + 1], [frame_sample(k) for k in range(3)])
        for one, two in zip(clips[i], alone, strict=True):
            torch.testing.assert_close(one.pred_instances.bboxes, two.pred_instances.bboxes, rtol=0, atol=1e-3)


@torch.no_grad()
def test_a_pickled_detector_carries_no_stream(detector):
    detector.predict(random_clip(1, 1), [clip_sample([0])])
    other = pickle.loads(pickle.dumps(detector))
    assert len(detector.streams) == 1
    assert len(other.streams) == 0
