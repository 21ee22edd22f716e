"""mmdet's own configs train and test on video by TSM in three types and one key for the data."""

import pytest
from mmengine.config import Config

from tsm_det.config import config_path, load_config
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.errors import InputError
from tsm_det.evaluation.vid_metric import VIDMetric
from tsm_det.runner import test as run_test
from tsm_det.runner import train

R18 = "dict(type='TSMResNet', depth=18, base_channels=8, init_cfg=None)"
FPN = "dict(type='TSMFPN', in_channels=[8, 16, 32, 64])"
CSP = "dict(type='TSMCSPDarknet', deepen_factor=0.167, widen_factor=0.125)"
RTM = "dict(type='TSMCSPNeXt', deepen_factor=0.167, widen_factor=0.125, init_cfg=None)"
CSP_NECK = "dict(type='TSMYOLOXPAFPN', in_channels=[32, 64, 128], out_channels=32, num_csp_blocks=1)"
STOCK = {
    'retinanet': ('retinanet/retinanet_r50_fpn_1x_coco.py', 'TSMRetinaNet', R18, FPN, 'bbox_head=dict(num_classes=4)'),
    'yolox': ('yolox/yolox_s_8xb8-300e_coco.py', 'TSMYOLOX', CSP, CSP_NECK,
              'bbox_head=dict(num_classes=4, in_channels=32, feat_channels=32)'),
    'rtmdet': ('rtmdet/rtmdet_tiny_8xb32-300e_coco.py', 'TSMRTMDet', RTM,
               "dict(type='TSMCSPNeXtPAFPN', in_channels=[32, 64, 128], out_channels=32, num_csp_blocks=1)",
               'bbox_head=dict(num_classes=4, in_channels=32, feat_channels=32)'),
    'cascade': ('cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py', 'TSMCascadeRCNN', R18, FPN,
                'roi_head=dict(bbox_head=[dict(type="Shared2FCBBoxHead", num_classes=4)] * 3)'),
}


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('synthvid') / 'made'
    make_synthetic_vid(root, train_videos=2, val_videos=1, frames_per_video=4, size=(64, 64))
    return root


def write_config(folder, base, detector, backbone, neck, head):
    path = folder / 'own.py'
    path.write_text(f"_base_ = 'mmdet::{base}'\nvideo_data = 'synthvid'\n"
                    f"model = dict(type='{detector}', backbone={backbone}, neck={neck}, {head})\n")
    return path


def load(folder, data_root, stock, **options):
    path = write_config(folder, *STOCK[stock])
    # The set made for tests is not the one that SyntheticVIDDataset makes by itself.
    options = {'data_root': f'{data_root}/', 'train_dataloader.dataset.type': 'CocoVIDDataset',
               'val_dataloader.dataset.type': 'CocoVIDDataset', 'test_dataloader.dataset.type': 'CocoVIDDataset',
               'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 1, 'train_dataloader.batch_size': 2, **options}
    return load_config(str(path), options, work_dir=str(folder / 'work'))


@pytest.mark.slow
@pytest.mark.parametrize('stock', ['retinanet', 'yolox', 'rtmdet'])
def test_a_stock_epoch_schedule_ends_its_epochs_validates_saves_and_tests(tmp_path, data_root, monkeypatch, stock):
    validations, evaluate = [], VIDMetric.evaluate
    monkeypatch.setattr(VIDMetric, 'evaluate', lambda *args: validations.append(1) or evaluate(*args))
    checkpoint = train(load(tmp_path, data_root, stock))
    assert checkpoint.name == 'epoch_2.pth'
    assert len(validations) == 2
    results = run_test(load(tmp_path, data_root, stock), str(checkpoint))
    assert results['frames_scored'] == 4


def test_the_video_data_replaces_dataloaders_and_evaluators(tmp_path, data_root):
    config = load(tmp_path, data_root, 'cascade')
    expected = Config.fromfile(config_path('_base_/synthvid'))
    assert config.test_evaluator.type == 'VIDMetric'
    assert config.train_dataloader.sampler == expected.train_dataloader.sampler
    assert 'batch_sampler' not in config.train_dataloader


def test_frames_are_padded_to_sizes_that_the_pyramid_takes(tmp_path, data_root):
    assert load(tmp_path, data_root, 'rtmdet').model.data_preprocessor.pad_size_divisor == 32


def test_video_data_that_is_not_there_is_refused(tmp_path, data_root):
    with pytest.raises(InputError, match='_base_/nowhere'):
        load(tmp_path, data_root, 'cascade', video_data='nowhere')


def test_a_list_of_necks_is_switched_on_by_place_and_another_form_is_refused(tmp_path):
    path = tmp_path / 'libra.py'
    start = "_base_ = 'mmdet::libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco.py'\n"
    path.write_text(start + "_base_.model.neck[0].type = 'TSMFPN'\n")
    assert [neck.type for neck in load_config(str(path)).model.neck] == ['TSMFPN', 'BFP']
    path.write_text(start + "model = dict(neck=dict(type='TSMFPN'))\n")
    with pytest.raises(InputError, match=r'libra\.py.*neck.*list'):
        load_config(str(path))
