"""A detector small enough for laws: ResNet-18 of 8 base channels on frames of 64 px."""

from __future__ import annotations

import copy
import functools

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor, nn

from tsm_det.config import config_path

SIZE = 64
# Options of tools/*.py for a tiny network, and for a training of three steps.
TINY = ('model.backbone.base_channels=8 model.neck.in_channels=8,16,32,64 model.neck.out_channels=16 '
        'model.rpn_head.in_channels=16 model.rpn_head.feat_channels=16 '
        'model.roi_head.bbox_roi_extractor.out_channels=16 model.roi_head.bbox_head.in_channels=16 ')
STEPS = ('train_cfg.max_iters=3 train_cfg.val_interval=3 param_scheduler.total_steps=3 '
         'default_hooks.logger.interval=1 train_dataloader.batch_size=1 ')


def read_config(name: str) -> Config:
    """A config of tsm_det, read once per process: reading takes longer than most laws."""
    return copy.deepcopy(_read(name))


@functools.cache
def _read(name: str) -> Config:
    return Config.fromfile(config_path(name))


def tiny_model_config(**changes) -> ConfigDict:
    """The model of the small configs, narrowed; ``changes`` are merged in (``backbone=dict(...)``)."""
    init_default_scope('mmdet')
    config = read_config('tsm_faster_rcnn_r18_synthvid')
    narrow = dict(
        backbone=dict(base_channels=8), neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
        rpn_head=dict(in_channels=16, feat_channels=16),
        roi_head=dict(bbox_roi_extractor=dict(out_channels=16), bbox_head=dict(in_channels=16, fc_out_channels=32)),
        test_cfg=dict(rpn=dict(nms_pre=50, max_per_img=20), rcnn=dict(score_thr=0.0, max_per_img=10)))
    config.merge_from_dict({'model': narrow})
    config.merge_from_dict({'model': changes})
    return config.model


def build(config: ConfigDict, seed: int = 0) -> nn.Module:
    """A model in eval mode whose every parameter and statistic is random, so that nothing hides behind zeros."""
    torch.manual_seed(seed)
    model = MODELS.build(copy.deepcopy(config))
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and 'data_preprocessor' not in name:
            is_scale = name.endswith('running_var') or (tensor.ndim == 1 and name.endswith('weight'))
            fan_in = max(tensor[0].numel(), 1) if tensor.ndim > 1 else 100
            tensor.copy_(torch.rand_like(tensor) + 0.5 if is_scale else torch.randn_like(tensor) / fan_in ** 0.5)
    return model.eval()


def tiny_detector(seed: int = 0, **changes) -> nn.Module:
    return build(tiny_model_config(**changes), seed)


def tiny_like_the_tools():
    """The network that the options of TINY make."""
    narrow = tiny_model_config()
    narrow.roi_head.bbox_head.fc_out_channels = 256
    return build(narrow)


def random_clip(n: int, t: int, seed: int = 0, size: int = SIZE) -> Tensor:
    """Normalised frames ``(n, t, 3, size, size)``."""
    return torch.randn(n, t, 3, size, size, generator=torch.Generator().manual_seed(seed))


def frame_sample(frame_id: int = 0, video_id: int = 1, size: int = SIZE, boxes: Tensor | None = None) -> DetDataSample:
    """What the pipeline says of a frame, with boxes (x1, y1, x2, y2) of label 0 if given."""
    meta = dict(img_id=1000 * video_id + frame_id, img_shape=(size, size), ori_shape=(size, size),
                pad_shape=(size, size), batch_input_shape=(size, size), scale_factor=(1.0, 1.0),
                frame_id=frame_id, video_id=video_id)
    sample = DetDataSample(metainfo=meta)
    boxes = torch.zeros(0, 4) if boxes is None else boxes
    sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.zeros(len(boxes), dtype=torch.long))
    sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4))
    return sample


def clip_sample(frame_ids, video_id: int = 1, size: int = SIZE, boxes: Tensor | None = None) -> TrackDataSample:
    clip = TrackDataSample()
    clip.video_data_samples = [frame_sample(k, video_id, size, boxes) for k in frame_ids]
    return clip
