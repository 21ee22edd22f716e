"""ImageNet VID from its folders to its metrics, on a small tree in exactly its layout."""

import json

import pytest

from tests.cocovid.ilsvrc import add_video, write_tree
from tests.tiny import TINY
from tsm_det import config_path

CONFIG = config_path('tsm_faster_rcnn_r50_vid')
SMALL = ('model.backbone.depth=18 model.backbone.init_cfg=None model.neck.in_channels=8,16,32,64 '
         'train_cfg.max_iters=2 train_cfg.val_interval=2 train_dataloader.num_workers=0 '
         'train_dataloader.persistent_workers=False val_dataloader.num_workers=0 '
         'val_dataloader.persistent_workers=False test_dataloader.num_workers=0 '
         'test_dataloader.persistent_workers=False default_hooks.logger.interval=1 ' + TINY)


@pytest.mark.slow
def test_a_tree_in_the_layout_of_ilsvrc_converts_trains_and_scores(run, tmp_path):
    root = write_tree(tmp_path / 'ILSVRC')
    for command in ('imagenet-vid', 'imagenet-det'):
        status, out, err = run(f'convert_dataset {command} {root} --out {root}/annotations --workers 1')
        assert status == 0, out + err
    train = json.loads((root / 'annotations/imagenet_vid_train.json').read_text())
    assert [len(train[what]) for what in ('videos', 'images', 'annotations')] == [3, 34, 39]
    status, out, err = run(f'train {CONFIG} --work-dir {tmp_path}/work --cfg-options data_root={root} {SMALL}')
    assert status == 0, out + err
    assert 'Iter(train) [2/2]' in out + err
    status, out, err = run(f'test {CONFIG} {tmp_path}/work/iter_2.pth --work-dir {tmp_path}/test '
                           f'--metrics {tmp_path}/m.json --cfg-options data_root={root} {SMALL}')
    assert status == 0, out + err
    metrics = json.loads((tmp_path / 'm.json').read_text())
    assert (metrics['frames_scored'], metrics['frames_total']) == (12, 12)
    assert {'coco/AP50', 'fgfa/AP50', 'mega/AP50', 'fgfa/AP50_slow'} <= set(metrics)


def test_missing_stills_are_named_before_anything_is_built(run, tmp_path):
    root = write_tree(tmp_path / 'ILSVRC')
    run(f'convert_dataset imagenet-vid {root} --out {root}/annotations --workers 1')
    status, _, err = run(f'train {CONFIG} --work-dir {tmp_path}/work --cfg-options data_root={root} {SMALL}')
    assert status == 2
    assert 'imagenet_det_30classes.json is missing: tools/convert_dataset.py imagenet-vid and imagenet-det' in err


def test_a_frame_that_is_named_but_cannot_be_read_makes_the_conversion_say_so(run, tmp_path):
    root = write_tree(tmp_path / 'ILSVRC')
    add_video(root, 'val/ILSVRC2015_val_00000003', [[], []])
    (root / 'Annotations/VID/val/ILSVRC2015_val_00000003/000001.xml').unlink()
    status, out, _ = run(f'convert_dataset imagenet-vid {root} --out {root}/annotations --workers 1 --splits val')
    assert status == 0
    assert 'missing XML Annotations/VID/val/ILSVRC2015_val_00000003/000001.xml' in out
    assert [line.split() for line in out.splitlines() if 'videos listed' in line] == [['videos', 'listed', '4', '555']]
