"""Laws of every registered detector."""

import copy

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from torch.testing import assert_close

from tests.models.families import randomized
from tests.tiny import clip_sample, frame_sample, random_clip
from tsm_det import map_state
from tsm_det.models import detectors

# mmdet's config of each detector, and its backbone and neck made small.
R18 = dict(depth=18, base_channels=8, init_cfg=None)
PYRAMID = dict(in_channels=[8, 16, 32, 64])
CSP = dict(deepen_factor=0.167, widen_factor=0.25, init_cfg=None)
CSP_NECK = dict(in_channels=[64, 128, 256], out_channels=64, num_csp_blocks=1)
CSP_HEAD = dict(bbox_head=dict(in_channels=64, feat_channels=64))
DETR_NECK = dict(in_channels=[16, 32, 64])
DETECTORS = {
    'FasterRCNN': ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco', R18, PYRAMID, {}),
    'CascadeRCNN': ('cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco', R18, PYRAMID, {}),
    'MaskRCNN': ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco', R18, PYRAMID, {}),
    'RetinaNet': ('retinanet/retinanet_r50_fpn_1x_coco', R18, PYRAMID, {}),
    'FCOS': ('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco', R18, PYRAMID, {}),
    'ATSS': ('atss/atss_r50_fpn_1x_coco', R18, PYRAMID, {}),
    'GFL': ('gfl/gfl_r50_fpn_1x_coco', R18, PYRAMID, {}),
    'TOOD': ('tood/tood_r50_fpn_1x_coco', R18, PYRAMID, {}),
    'RTMDet': ('rtmdet/rtmdet_s_8xb32-300e_coco', CSP, CSP_NECK, CSP_HEAD),
    'YOLOX': ('yolox/yolox_s_8xb8-300e_coco', CSP, CSP_NECK, CSP_HEAD),
    'YOLOF': ('yolof/yolof_r50-c5_8xb8-1x_coco', R18, dict(in_channels=64), {}),
    'DeformableDETR': ('deformable_detr/deformable-detr_r50_16xb2-50e_coco', R18, DETR_NECK, dict(num_queries=20)),
    'DETR': ('detr/detr_r50_8xb2-150e_coco', R18, dict(in_channels=[64]), dict(num_queries=20)),
    'DINO': ('dino/dino-4scale_r50_8xb2-12e_coco', R18, DETR_NECK, dict(num_queries=20)),
}


def config_of(name, tsm=True, **keys):
    """A detector of mmdet's configs with a small network; ``tsm`` puts TSM in front of three types."""
    file, backbone, neck, rest = DETECTORS[name]
    init_default_scope('mmdet')
    config = Config({'model': get_config(f'mmdet::{file}.py').model})
    config.merge_from_dict({'model': copy.deepcopy({'backbone': backbone, 'neck': neck, **rest})})
    model = config.model
    if 'roi_head' in model:
        heads = model.roi_head.bbox_head
        for head in heads if isinstance(heads, list) else [heads]:
            head.fc_out_channels = 32
    test_cfg = model.test_cfg.get('rcnn', model.test_cfg)
    test_cfg.update(score_thr=0.0, max_per_img=10)
    model.data_preprocessor = dict(type='TrackDataPreprocessor' if tsm else 'DetDataPreprocessor', pad_size_divisor=32)
    if tsm:
        model.type = f'TSM{name}'
        for part in ('backbone', 'neck'):
            if f'TSM{model[part].type}' in MODELS:
                model[part].type = f'TSM{model[part].type}'
                model[part].update(keys.get(part, {}))
    return model


def build(name, tsm=True, seed=0, **keys):
    torch.manual_seed(seed)
    model = MODELS.build(config_of(name, tsm, **keys))
    model.init_weights()  # some parameters are uninitialized memory before
    for part in (model.backbone, model.neck):
        randomized(part)
    return model.float().eval()


def boxes_of(samples):
    return [sample.pred_instances for sample in samples]


def assert_same(one, other):
    assert len(one) == len(other)
    for mine, theirs in zip(one, other, strict=True):
        assert all(torch.equal(mine[key], theirs[key]) for key in ('scores', 'bboxes', 'labels'))


def losses_of(name, model, clip):
    """The losses of two frames, as a clip or as images."""
    frames = [frame_sample(k, boxes=torch.tensor([[8.0, 8.0, 40.0, 44.0]])) for k in range(2)]
    if name == 'MaskRCNN':
        for frame in frames:
            frame.gt_instances.masks = BitmapMasks(np.ones((1, 64, 64), np.uint8), 64, 64)
    MessageHub.get_current_instance().update_info('epoch', 0)  # TOOD's head reads it
    torch.manual_seed(3)
    if not clip:
        return model.loss(random_clip(2, 1)[:, 0], frames)
    sample = TrackDataSample()
    sample.video_data_samples = frames
    return model.loss(random_clip(1, 2), [sample])


def test_every_registered_detector_is_tested():
    made = {name for name in vars(detectors) if name.startswith('TSM')}
    assert {f'TSM{name}' for name in DETECTORS} == made


@pytest.mark.parametrize('name', DETECTORS)
def test_without_sites_it_equals_mmdet_bit_for_bit(name):
    off = dict(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))
    ours, theirs = build(name, **off), build(name, tsm=False, seed=1)
    theirs.load_state_dict(ours.state_dict())
    images, samples = random_clip(2, 1)[:, 0], [frame_sample(k) for k in range(2)]
    with torch.no_grad():
        expected = boxes_of(theirs.predict(images, copy.deepcopy(samples)))
        assert_same(boxes_of(ours.predict(images, copy.deepcopy(samples))), expected)
        assert_same(boxes_of(ours.detect(images.unsqueeze(1), samples)[0]), expected)
    assert sum(map(len, expected)) > 0
    losses, others = (losses_of(name, model.train(), clip=False) for model in (ours, theirs))
    assert losses.keys() == others.keys()
    for key, value in losses.items():
        assert all(map(torch.equal, _flat(value), _flat(others[key]))), key


@pytest.mark.parametrize('name', DETECTORS)
@torch.no_grad()
def test_a_stream_frame_by_frame_equals_the_whole_clip(name):
    model, clip, past, pieces = build(name), random_clip(1, 4), None, []
    whole, end = model.double().extract_clip(clip.double())
    for frame in clip.double().split(1, dim=1):
        feats, past = model.extract_clip(frame, past)
        pieces.append(feats)
    assert_close([torch.cat(levels) for levels in zip(*pieces, strict=True)], list(whole))
    map_state(lambda one, other: assert_close(one, other) or one, past, end)


@pytest.mark.parametrize('name', DETECTORS)
@torch.no_grad()
def test_the_bank_continues_a_stream_as_a_state_passed_by_hand(name):
    model, clip, past = build(name), random_clip(1, 3), None
    for k in range(3):
        [held] = model.predict(clip[:, k:k + 1], [clip_sample([k])])
        [sample], past = model.detect(clip[:, k:k + 1], [frame_sample(k)], past)
        assert_same(boxes_of([sample]), boxes_of(held.video_data_samples))
    [alone], _ = model.detect(clip[:, 2:], [frame_sample(2)])
    assert not torch.equal(alone.pred_instances.scores, sample.pred_instances.scores)


@pytest.mark.parametrize('name', DETECTORS)
def test_a_training_step_of_a_clip_gives_finite_gradients(name):
    model = build(name).train()
    model.parse_losses(losses_of(name, model, clip=True))[0].backward()
    gradients = [parameter.grad for parameter in model.backbone.parameters() if parameter.requires_grad]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize('name', ['FasterRCNN', 'RetinaNet', 'TOOD', 'DINO'])
def test_losses_in_bfloat16_on_a_cpu_are_close(name):
    model = build(name).train()
    expected = model.parse_losses(losses_of(name, model, clip=True))[0]
    with torch.autocast('cpu', torch.bfloat16):
        loss = model.parse_losses(losses_of(name, model, clip=True))[0]
    assert not torch.equal(loss, expected)
    assert_close(loss, expected, rtol=0.02, atol=0.03)
    loss.backward()


def _flat(value):
    return value if isinstance(value, list | tuple) else [value]


@torch.no_grad()
def test_a_list_of_necks_streams_too_and_a_second_temporal_neck_is_refused():
    config = config_of('FasterRCNN')
    config.neck = [config.neck, dict(type='BFP', in_channels=256, num_levels=5, refine_level=2)]
    torch.manual_seed(0)
    model, clip = MODELS.build(copy.deepcopy(config)).eval().double(), random_clip(1, 4).double()
    past, pieces = None, []
    whole, _ = model.extract_clip(clip)
    for frame in clip.split(1, dim=1):
        feats, past = model.extract_clip(frame, past)
        pieces.append(feats)
    assert_close([torch.cat(levels) for levels in zip(*pieces, strict=True)], list(whole))
    assert len(past.neck) == 1
    config.neck[1] = config.neck[0]
    with pytest.raises(TypeError, match=r'neck\.0, neck\.1'):
        MODELS.build(config)
