"""mmdet's config files of many kinds train and stream with TSM in their types, and equal mmdet's without sites."""

import copy

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures.mask import BitmapMasks
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch.testing import assert_close

from tests.models.families import randomized
from tests.models.test_detectors import assert_same, boxes_of
from tests.tiny import clip_sample, frame_sample
from tsm_det.config import load_config
from tsm_det.mixed_precision import cpu_optim_wrapper

SIZE = 96
# Options that make the networks small, and nothing else.
R50 = {'backbone.base_channels': 8, 'neck.in_channels': [32, 64, 128, 256]}
C5 = {'backbone.base_channels': 8}
LIBRA = {'backbone.base_channels': 8, 'neck.0.in_channels': [32, 64, 128, 256]}
DETR = {'backbone.base_channels': 8, 'num_queries': 20, 'test_cfg.max_per_img': 20,
        'encoder.num_layers': 1, 'decoder.num_layers': 2}
RCNN = {'roi_head.bbox_head.fc_out_channels': 32, 'test_cfg.rpn.max_per_img': 50,
        'train_cfg.rpn_proposal.max_per_img': 50}
CASCADE = {f'roi_head.bbox_head.{stage}.fc_out_channels': 32 for stage in range(3)}
HRNET = {'backbone.extra.stage1.num_blocks': (1,), 'backbone.extra.stage2.num_blocks': (1, 1),
         'backbone.extra.stage3.num_modules': 1, 'backbone.extra.stage3.num_blocks': (1, 1, 1),
         'backbone.extra.stage4.num_modules': 1, 'backbone.extra.stage4.num_blocks': (1, 1, 1, 1)}
STOCK = {
    'faster_rcnn/faster-rcnn_r50-caffe_fpn_1x_coco': {**R50, **RCNN},
    'faster_rcnn/faster-rcnn_r50-caffe-dc5_1x_coco': {
        **C5, **RCNN, 'rpn_head.in_channels': 256, 'rpn_head.feat_channels': 64,
        'roi_head.bbox_roi_extractor.out_channels': 256, 'roi_head.bbox_head.in_channels': 256},
    'dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco': {**R50, **RCNN},
    'gcnet/mask-rcnn_r50-gcb-r4-c3-c5_fpn_1x_coco': {**R50, **RCNN},
    'libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco': {**LIBRA, **RCNN},
    'libra_rcnn/libra-retinanet_r50_fpn_1x_coco': LIBRA,
    'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco': {**R50, **CASCADE},
    'retinanet/retinanet_r50-caffe_fpn_1x_coco': R50,
    'retinanet/retinanet_r50_fpn_amp-1x_coco': R50,
    'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco': R50,
    'atss/atss_r50_fpn_1x_coco': R50,
    'gfl/gfl_r50_fpn_1x_coco': R50,
    'tood/tood_r50_fpn_1x_coco': R50,
    'yolof/yolof_r50-c5_8xb8-1x_coco': {**C5, 'neck.in_channels': 256},
    'rtmdet/rtmdet_tiny_8xb32-300e_coco': {},
    'yolox/yolox_tiny_8xb8-300e_coco': {'data_preprocessor.batch_augments.0.random_size_range': (64, 96)},
    'detr/detr_r50_8xb2-150e_coco': {**DETR, 'neck.in_channels': [256]},
    'deformable_detr/deformable-detr_r50_16xb2-50e_coco': {**DETR, 'neck.in_channels': [64, 128, 256]},
    'dino/dino-4scale_r50_8xb2-12e_coco': {**DETR, 'neck.in_channels': [64, 128, 256]},
    'regnet/retinanet_regnetx-800MF_fpn_1x_coco': {},
    'res2net/faster-rcnn_res2net-101_fpn_2x_coco': {**R50, **RCNN, 'backbone.depth': 50},
    'hrnet/faster-rcnn_hrnetv2p-w18-1x_coco': {**HRNET, **RCNN},
    'pvt/retinanet_pvt-t_fpn_1x_coco': {},
    'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco': RCNN,
}
NO_SITES = [name for name in STOCK if name.split('/')[0] in ('faster_rcnn', 'dcn', 'gcnet', 'libra_rcnn', 'yolof')]


@pytest.fixture
def load(tmp_path):
    """Loads a config file of mmdet with the small network and, in front of each type that TSM has, TSM."""
    def load(name, temporal=True):
        path = tmp_path / 'own.py'
        path.write_text(f"_base_ = 'mmdet::{name}.py'\nvideo_data = 'synthvid'\n")
        config = load_config(str(path), {f'model.{key}': value for key, value in STOCK[name].items()})
        config.model.backbone.init_cfg = None
        if temporal:
            for part in (config.model, config.model.backbone, *necks_of(config.model)):
                part.type = f'TSM{part.type}' if f'TSM{part.type}' in MODELS else part.type
        return config
    init_default_scope('mmdet')
    MessageHub.get_current_instance().update_info_dict(dict(epoch=0, iter=0))  # read by TOOD and YOLOX
    return load


def necks_of(model):
    neck = model.get('neck', ())
    return [neck] if isinstance(neck, dict) else neck


def build(config, seed=0):
    torch.manual_seed(seed)
    model = MODELS.build(copy.deepcopy(config))
    model.init_weights()
    randomized(model.backbone)
    return model.float()


def annotated(samples, model):
    for sample in samples:
        sample.gt_instances.bboxes = torch.tensor([[8.0, 8.0, 40.0, 44.0]])
        sample.gt_instances.labels = torch.tensor([0])
        if model.get('roi_head', {}).get('mask_head'):
            sample.gt_instances.masks = BitmapMasks(np.ones((1, SIZE, SIZE), np.uint8), SIZE, SIZE)
    return samples


def batch(start, end):
    """Frames of one clip as the data loader gives them."""
    frames = torch.randint(256, (3, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return {'inputs': [frames[start:end]], 'data_samples': [clip_sample(range(start, end), size=SIZE)]}


@pytest.mark.parametrize('name', STOCK)
def test_a_stock_config_trains_a_step_and_streams_as_it_sees_the_clip(load, name):
    config = load(name)
    model = build(config.model)
    optimizer = build_optim_wrapper(model, cpu_optim_wrapper(config.optim_wrapper))
    before, data = [parameter.detach().clone() for parameter in model.parameters()], batch(0, 3)
    annotated(data['data_samples'][0].video_data_samples, config.model)
    assert model.train().train_step(data, optimizer)['loss'].isfinite()
    assert any(not torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))

    streamed = [model.eval().test_step(batch(k, k + 1))[0][0] for k in range(3)]
    assert [frame.reset for frame in streamed] == ['new', None, None]
    frames, past, pieces = model.data_preprocessor(batch(0, 3))['inputs'].double(), None, []
    with torch.no_grad():
        whole, _ = model.double().extract_clip(frames)
        alone, _ = model.extract_clip(frames[:, 2:])
        for frame in frames.split(1, dim=1):
            feats, past = model.extract_clip(frame, past)
            pieces.append(feats)
    assert_close([torch.cat(levels) for levels in zip(*pieces, strict=True)], list(whole))
    assert any(not torch.allclose(level[2:], other) for level, other in zip(whole, alone, strict=True))


@pytest.mark.parametrize('name', NO_SITES)
def test_a_stock_config_without_sites_equals_mmdet_bit_for_bit(load, name):
    config = load(name)
    config.model.backbone.shift_stages = ()
    for neck in necks_of(config.model):
        if neck.type.startswith('TSM'):
            neck.shift_levels = ()
    ours, theirs = build(config.model).eval(), build(load(name, temporal=False).model, seed=1).eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        found, expected = (boxes_of(model.predict(images, [frame_sample(k, size=SIZE) for k in range(2)]))
                           for model in (ours, theirs))
    assert_same(found, expected)
    samples, losses = annotated([frame_sample(k, size=SIZE) for k in range(2)], config.model), []
    for model in (ours.train(), theirs.train()):
        torch.manual_seed(3)
        losses.append(model.parse_losses(model.loss(images, copy.deepcopy(samples)))[1])
    assert losses[0] == losses[1]
