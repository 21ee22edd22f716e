"""A RoI memory in each two-stage detector of mmdet."""

import copy

import pytest
import torch
from mmdet.registry import MODELS
from torch.testing import assert_close

from tests.models.test_detectors import config_of
from tests.models.test_roi_memory import KEYS, assert_alike, assert_equal
from tests.tiny import build, clip_sample, frame_sample, random_clip, tiny_detector
from tsm_det.errors import InputError

HEADS = {'FasterRCNN': 'MemoryRoIHead', 'MaskRCNN': 'MemoryRoIHead', 'CascadeRCNN': 'MemoryCascadeRoIHead'}
EACH = pytest.mark.parametrize('name', HEADS)
BOXES = torch.tensor([[8.0, 8.0, 40.0, 44.0]])


def with_memory(name):
    config = config_of(name)
    config.test_cfg.rpn.max_per_img = 20
    config.roi_head.update(type=HEADS[name], memory=KEYS)
    return config


@EACH
@torch.no_grad()
def test_a_stream_equals_the_clip_and_reads_frames_beyond_the_reach_of_the_shift(name):
    model, clip, past, streamed = build(with_memory(name)), random_clip(1, 9), None, []
    whole, _ = model.detect(clip, [frame_sample(k) for k in range(9)])
    for k in range(9):
        before = past
        found, past = model.detect(clip[:, k:k + 1], [frame_sample(k)], past)
        streamed += found
    assert_alike(streamed, whole, px=1e-2)
    if name == 'MaskRCNN':
        differ = [(mine.pred_instances.masks != theirs.pred_instances.masks).float().mean()
                  for mine, theirs in zip(streamed, whole, strict=True)]
        assert max(differ) < 0.01
    forgetful = before._replace(memory=tuple(torch.zeros_like(part) for part in before.memory))
    [other], _ = model.detect(clip[:, 8:], [frame_sample(8)], forgetful)
    assert not torch.equal(other.pred_instances.scores, streamed[-1].pred_instances.scores)


@EACH
def test_as_initialised_it_equals_the_plain_head_bit_for_bit(name):
    config = with_memory(name)
    fresh = MODELS.build(copy.deepcopy(config))
    fresh.init_weights()
    model = build(config)
    model.roi_head.memory.load_state_dict(fresh.roi_head.memory.state_dict())
    plain_config = config_of(name)
    plain_config.test_cfg.rpn.max_per_img = 20
    plain = build(plain_config)
    missing = plain.load_state_dict(model.state_dict(), strict=False)
    assert not missing.missing_keys and all('roi_head.memory.' in key for key in missing.unexpected_keys)
    clip, samples = random_clip(2, 3), [frame_sample(k, video) for video in range(2) for k in range(3)]
    with torch.no_grad():
        assert_equal(model.detect(clip, samples)[0], plain.detect(clip, samples)[0])
        assert_equal(model.predict(clip[:, 0], samples[:2]), plain.predict(clip[:, 0], samples[2:4]))
    if name != 'MaskRCNN':  # it would need masks
        found = []
        for network in (model.train(), plain.train()):
            torch.manual_seed(3)
            losses = network.loss(clip, [clip_sample(range(3), video, boxes=BOXES) for video in range(2)])
            network.parse_losses(losses)[0].backward()
            found.append((losses, {name: parameter.grad for name, parameter in network.named_parameters()
                                   if 'memory' not in name}))
        assert_close(*found, rtol=0, atol=0)


@pytest.mark.parametrize('name', ['FasterRCNN', 'CascadeRCNN'])
def test_losses_do_not_put_ground_truth_into_the_memory(name):
    model, clip, written, losses = build(with_memory(name)).train(), random_clip(1, 3), [], []
    model.roi_head.memory.to_token.register_forward_hook(lambda _module, inputs, _output: written.append(inputs[0]))
    for side in (30.0, 50.0):
        torch.manual_seed(3)
        found = model.loss(clip, [clip_sample(range(3), boxes=torch.tensor([[8.0, 8.0, side, side]]))])
        losses.append([value for key, value in found.items() if key.endswith('loss_cls')])
    assert torch.equal(*written)
    assert losses[0] != losses[1]


@pytest.mark.parametrize('name', ['FasterRCNN', 'CascadeRCNN'])
@torch.no_grad()
def test_a_frame_without_proposals_passes_through(name):
    model, past = build(with_memory(name)), None
    model.rpn_head.test_cfg.min_bbox_size = 1000
    for k in range(3):
        [sample], past = model.detect(random_clip(1, 1), [frame_sample(k)], past)
        assert len(sample.pred_instances) == 0
    assert past.memory[0].abs().max() == 0 and past.memory[1].item() == 3


def test_heads_without_a_layer_to_read_in_or_with_stages_are_refused():
    with pytest.raises(InputError, match='DoubleConvFCBBoxHead'):
        tiny_detector(roi_head=dict(type='MemoryRoIHead', bbox_head=dict(
            _delete_=True, type='DoubleConvFCBBoxHead', in_channels=16, num_classes=4, num_convs=1, num_fcs=1)))
    cascade = config_of('CascadeRCNN')
    cascade.roi_head.type = 'MemoryRoIHead'
    with pytest.raises(InputError, match='MemoryCascadeRoIHead'):
        MODELS.build(cascade)
