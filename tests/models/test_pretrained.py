"""What a training says of the weights that its backbone starts from."""

import logging
import re

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

from tests.tiny import STEPS
from tsm_det import config_path
from tsm_det.config import load_config
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.errors import InputError
from tsm_det.models import pretrained as module
from tsm_det.models.checkpoint_file import plain_files_only
from tsm_det.models.pretrained import checked_pretrained, warn_random_backbone

CONFIG = config_path('tsm_faster_rcnn_r18_synthvid')
PRETRAINED = dict(init_cfg=dict(type='Pretrained', checkpoint='x.pth'))
BACKBONES = [dict(type='TSMResNet', depth=18, base_channels=8, operator='gate'), dict(type='TSMMobileNetV2'),
             dict(type='TSMSwinTransformer', embed_dims=12, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1)),
             dict(type='TSMCSPNeXt', widen_factor=0.125, deepen_factor=0.1),
             dict(type='TSMPyramidVisionTransformerV2', embed_dims=8, num_layers=(1, 1, 1, 1), num_heads=(1, 1, 1, 1)),
             dict(type='TSMDetectoRS_ResNet', depth=50, base_channels=8, stem_channels=8)]


@pytest.fixture(autouse=True)
def as_in_a_training():
    init_default_scope('mmdet')
    with plain_files_only():
        yield


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(module, 'print_log',
                        lambda message, _, level=logging.INFO: lines.append((logging.getLevelName(level), message)))
    return lines


@pytest.mark.parametrize(('backbone', 'lr_mult', 'facts'), [
    (dict(norm_eval=True, norm_cfg=dict(type='BN')), 1, ['norm_eval=True']),
    (dict(norm_eval=True), 1, []),  # group norm has no statistics
    (dict(frozen_stages=0), 1, ['frozen_stages=0']),
    (dict(frozen_stages=0), 0.1, ['frozen_stages=0', 'lr_mult=0.1']),
    (dict(frozen_stages=0, **PRETRAINED), 1, []),
    ({}, 0.1, ['lr_mult=0.1']),
    (PRETRAINED, 0.1, []),
    ({}, 1, [])])
def test_a_training_says_when_it_holds_back_random_weights_of_a_backbone(said, backbone, lr_mult, facts):
    config = load_config(CONFIG)
    config.model.backbone = {**config.model.backbone, **backbone}
    keys = dict(backbone=dict(lr_mult=lr_mult))
    warn_random_backbone(MODELS.build(config.model), dict(paramwise_cfg=dict(custom_keys=keys)))
    assert len(said) == bool(facts)
    assert all(level == 'WARNING' and fact in line for level, line in said for fact in facts)


def started(config, weights, path):
    """A backbone that mmdet has started from a file of these weights."""
    if config['type'] == 'TSMSwinTransformer' and not config.get('convert_weights'):  # mmdet reads no other names
        weights = {f'backbone.{key.removeprefix("backbone.")}': tensor for key, tensor in weights.items()}
    torch.save(weights, path)
    prefix = {'prefix': 'backbone.'} if any(key.startswith('backbone.') for key in weights) else {}
    backbone = MODELS.build({**config, 'init_cfg': ConfigDict(type='Pretrained', checkpoint=str(path), **prefix)})
    with checked_pretrained(backbone):
        backbone.init_weights()
    return backbone


def without_operators(config):
    return {key: tensor for key, tensor in MODELS.build(config).state_dict().items() if not key.startswith('temporal.')}


def test_the_file_of_the_authors_of_swin_fits_whole(said, tmp_path):
    config = {**BACKBONES[2], 'convert_weights': True}
    names = {r'^stages': 'layers', r'w_msa\.': '', r'ffn\.layers\.0\.0': 'mlp.fc1', r'ffn\.layers\.1': 'mlp.fc2',
             r'embed\.projection': 'embed.proj'}
    theirs = {}
    for name, tensor in without_operators(config).items():
        for ours, original in names.items():
            name = re.sub(ours, original, name)
        theirs[name] = tensor
    backbone = started(config, {'model': theirs}, tmp_path / 'x.pth')
    assert torch.equal(backbone.stages[1].blocks[0].ffn.layers[1].weight, theirs['layers.1.blocks.0.mlp.fc2.weight'])
    (level, line), = said
    assert level == 'INFO' and line.startswith('24 of 24 ')


def below_backbone(weights):
    return {f'backbone.{key}': tensor for key, tensor in weights.items()}


def halved(weights):
    return {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in weights.items()}


@pytest.mark.parametrize(('config', 'change'), [
    *((config, change) for config in BACKBONES for change in (dict, halved)),
    *((config, below_backbone) for config in BACKBONES[:4])],  # PVT and DetectoRS read no prefix
    ids=lambda one: one.get('type') if isinstance(one, dict) else one.__name__)
def test_a_file_of_the_backbone_fits_whole(said, config, change, tmp_path):
    started(config, change(without_operators(config)), tmp_path / 'x.pth')
    (level, line), = said
    first, of, count = line.split()[:3]
    assert (level, of) == ('INFO', 'of') and first == count != '0'
    assert 'x.pth' in line and 'random' not in line


@pytest.mark.parametrize('config', BACKBONES, ids=lambda config: config['type'])
def test_a_file_of_a_part_is_said_loudly(said, config, tmp_path):
    whole = without_operators(config)
    lacking = next(key for key in list(whole)[len(whole) // 2:] if whole[key].ndim > 1 and 'index' not in key)
    started(config, {key: whole[key] for key in whole if key != lacking}, tmp_path / 'x.pth')
    (level, line), = said
    fitting, _, count = line.split()[:3]
    assert level == 'WARNING' and int(fitting) == int(count) - 1 and lacking in line


@pytest.mark.parametrize('config', [*BACKBONES[:2], *BACKBONES[3:]], ids=lambda config: config['type'])
@pytest.mark.parametrize('change', [
    lambda weights: {f'features.{key}': tensor for key, tensor in weights.items()},
    lambda weights: {key: torch.cat([tensor.view(-1)] * 2) for key, tensor in weights.items()}],
    ids=['names', 'sizes'])
def test_a_file_that_fits_nothing_is_refused_with_the_way_out(config, change, tmp_path):
    with pytest.raises(InputError, match=r'none of .*x\.pth .*convert_weights'):
        started(config, change(without_operators(config)), tmp_path / 'x.pth')


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    weights = without_operators(BACKBONES[0])
    weights['layer2.0.conv1.weight'].fill_(torch.nan)
    with pytest.raises(InputError, match=r'x\.pth .*layer2\.0\.conv1\.weight'):
        started(BACKBONES[0], weights, tmp_path / 'x.pth')


def test_a_detectors_own_file_may_replace_that_of_the_backbone(said, tmp_path):
    config = load_config(CONFIG)
    torch.save(MODELS.build(config.model).state_dict(), tmp_path / 'detector.pth')
    torch.save(without_operators(config.model.backbone), tmp_path / 'x.pth')
    config.model.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'detector.pth'))
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'x.pth'))
    detector = MODELS.build(config.model)
    with checked_pretrained(detector.backbone):
        detector.init_weights()
    (level, line), = said
    assert level == 'INFO' and line.startswith('20 of 20 ')


@pytest.mark.parametrize('config', BACKBONES[:3:2], ids=lambda config: config['type'])
@pytest.mark.parametrize('error', [torch.OutOfMemoryError('CUDA out of memory'), RuntimeError('NCCL'), KeyError('x')])
def test_errors_that_are_not_of_reading_stay_what_they_are(config, error, tmp_path):
    with pytest.raises(type(error)) as raised, checked_pretrained(
            MODELS.build({**config, 'init_cfg': dict(type='Pretrained', checkpoint='x.pth')})):
        raise error
    assert raised.value is error


def test_a_backbone_without_a_file_is_not_checked(said):
    for backbone in (MODELS.build(BACKBONES[0]), torch.nn.Conv2d(3, 8, 3)):
        with checked_pretrained(backbone):
            pass
    assert not said


@pytest.mark.slow
@pytest.mark.parametrize(('config', 'name', 'status', 'fact'), [
    ('tsm_faster_rcnn_mobilenetv2_synthvid', 'conv1.conv.weight', 0, '1 of 52 weights'),
    ('tsm_faster_rcnn_mobilenetv2_synthvid', 'features.0.0.weight', 2, 'none of the 1 tensors'),
    ('tps_faster_rcnn_swin_synthvid', 'stages.0.weight', 2, 'convert_weights=True')])  # mmdet's Swin reads it itself
def test_a_training_says_what_its_backbone_starts_from(run, tmp_path, config, name, status, fact):
    make_synthetic_vid(tmp_path / 'data', train_videos=1, val_videos=1, frames_per_video=4)
    torch.save({name: torch.randn(32, 3, 3, 3)}, tmp_path / 'backbone.pth')
    ended, out, err = run(
        f'train {config_path(config)} --work-dir {tmp_path}/work --cfg-options '
        f'data_root={tmp_path}/data {STEPS.replace("=3", "=1")} train_dataloader.dataset.pipeline.0.num_frames=2 '
        f'model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint={tmp_path}/backbone.pth')
    assert ended == status, out + err
    assert fact in out + err and 'Traceback' not in out + err
