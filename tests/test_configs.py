"""Every config builds, and each baseline differs from its detector in the sites alone."""

from pathlib import Path

import pytest
from mmdet.registry import MODELS
from mmengine.dataset import Compose
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from tsm_det.config import config_path, load_config
from tsm_det.errors import InputError

CONFIGS = sorted(path.stem for path in Path(config_path('tsm_faster_rcnn_r50_vid')).parent.glob('*.py'))
SITES = {  # backbone, neck
    'tsm_faster_rcnn_r101_vid': (18, 4),
    'tsm_faster_rcnn_r18_synthvid': (8, 4),
    'tsm_faster_rcnn_r18_synthvid_backbone_only': (8, 0),
    'tsm_faster_rcnn_r18_synthvid_gate': (8, 0),
    'tsm_faster_rcnn_r18_synthvid_memory': (8, 4),
    'tsm_faster_rcnn_r18_synthvid_neck_only': (0, 4),
    'tsm_faster_rcnn_r18_synthvid_offline': (8, 4),
    'tsm_faster_rcnn_r18_thermal': (8, 4),
    'tsm_faster_rcnn_r18_thermal_backbone_only': (8, 0),
    'tsm_faster_rcnn_r18_thermal_memory': (8, 4),
    'tsm_faster_rcnn_r50_vid': (16, 4),
    'tsm_faster_rcnn_r50_vid_backbone_only': (16, 0),
    'tsm_faster_rcnn_r50_vid_from_coco': (16, 4),
    'tsm_faster_rcnn_r50_vid_gate': (16, 0),
    'tsm_faster_rcnn_r50_vid_memory': (16, 4),
    'tsm_faster_rcnn_r50_vid_neck_only': (0, 4),
    'tsm_faster_rcnn_r50_vid_offline': (16, 4),
    'tsm_cascade_rcnn_r50_vid': (16, 4),
    'tsm_dino_r50_vid': (16, 3),
    'tsm_faster_rcnn_mobilenetv2_synthvid': (10, 4),
    'tsm_faster_rcnn_mobilenetv2_thermal': (10, 4),
    'tsm_faster_rcnn_mobilenetv2_thermal_bursts': (10, 4),
    'tsm_faster_rcnn_mobilenetv2_thermal_degraded_gate': (10, 0),
    'tsm_faster_rcnn_mobilenetv2_thermal_degraded': (10, 4),
    'tsm_faster_rcnn_mobilenetv2_thermal_degraded_memory': (10, 4),
    'tsm_faster_rcnn_mobilenetv2_vid': (10, 4),
    'tsm_faster_rcnn_thin_r50_thermal': (16, 4),
    'tsm_faster_rcnn_swin-t_vid': (12, 4),
    'tsm_retinanet_r18_synthvid': (8, 3),
    'tsm_retinanet_r50_vid': (16, 3),
    'tsm_rtmdet_s_vid': (6, 2),
    'tsm_yolox_s_vid': (8, 2),
    'tsm_rtmdet_tiny_synthvid': (4, 2),
    'tps_faster_rcnn_swin-t_vid': (12, 0),
    'tps_faster_rcnn_swin_synthvid': (8, 0),
}


def load(name):
    config = load_config(config_path(name), work_dir='work')
    init_default_scope('mmdet')
    return config


@pytest.mark.parametrize('name', CONFIGS)
def test_every_config_builds(name):
    config = load(name)
    for pretrained in (config.model.backbone, config.model):
        pretrained.pop('init_cfg', None)
    model = MODELS.build(config.model)
    assert (len(model.backbone.sites), len(model.neck.sites)) == SITES.get(name, (0, 0))
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        Compose(config[loader].dataset.pipeline)


PAIRS = [(name, detector) for name in CONFIGS for detector in (f'tsm_{name}', f'tps_{name}') if detector in CONFIGS]


def test_every_baseline_has_a_detector():
    assert {name for name, _ in PAIRS} == {name for name in CONFIGS if not name.startswith(('tsm_', 'tps_'))}


@pytest.mark.parametrize(('name', 'detector'), PAIRS)
def test_a_baseline_is_its_detector_without_sites(name, detector):
    baseline, detector = load(name), load(detector)
    assert (baseline.model.backbone.shift_stages, baseline.model.neck.shift_levels) == ((), ())
    for config in (baseline, detector):
        config.model.backbone.pop('shift_stages', None)
        config.model.neck.pop('shift_levels', None)
        config.model.backbone.type = config.model.backbone.type.replace('TPS', 'TSM')
    assert baseline.to_dict() == detector.to_dict()


@pytest.mark.parametrize('name', [name for name in CONFIGS if 'synthvid' in name or 'thermal' in name])
def test_configs_that_need_no_data_of_others_download_nothing(name):
    assert load(name).model.backbone.get('init_cfg') is None


def test_an_operator_on_a_pretrained_backbone_learns_at_the_full_rate():
    config = load('tsm_faster_rcnn_mobilenetv2_thermal_degraded_gate')
    model = MODELS.build(config.model)
    rate_of = {id(p): group['lr'] for group in build_optim_wrapper(model, config.optim_wrapper).param_groups
               for p in group['params']}
    full = config.optim_wrapper.optimizer.lr
    for name, parameter in model.named_parameters():
        slow = name.startswith('backbone.') and not name.startswith('backbone.temporal.')
        assert rate_of[id(parameter)] == (full / 10 if slow else full), name


@pytest.mark.parametrize('name', CONFIGS)
def test_a_leaf_stays_short(name):
    assert len(Path(config_path(name)).read_text().splitlines()) < 25


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(InputError, match=r"no config is called 'yolo': choose one of .*faster_rcnn_r101_vid, "):
        config_path('yolo')
