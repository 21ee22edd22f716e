"""Arms that are compared begin with the same weights and see the same clips: the shift is all that differs."""

import copy
import json

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from tests.tiny import STEPS, TINY
from tsm_det import config_path
from tsm_det.comparison.runs import ArmConfig, differing_keys
from tsm_det.datasets.synthetic_vid import make_synthetic_vid

WORKERS = 2


class Witness(Hook):
    """Keeps the weights that a training begins with, and all that its network is given."""

    priority = 'LOWEST'

    def before_train(self, runner):
        self.weights = copy.deepcopy(runner.model.state_dict())
        self.frames, self.boxes, self.names, self.pasted = [], [], [], 0
        runner.model.data_preprocessor.register_forward_hook(self.keep)

    def keep(self, preprocessor, arguments, data):
        self.frames += [clip.clone() for clip in data['inputs']]
        loaded = [frame for clip in arguments[0]['data_samples'] for frame in clip.video_data_samples]
        self.pasted -= sum(len(frame.gt_instances) for frame in loaded)
        for clip in data['data_samples']:
            self.pasted += sum(len(frame.gt_instances) for frame in clip.video_data_samples)
            self.boxes += [sample.gt_instances.bboxes.clone() for sample in clip.video_data_samples]
            self.names += [(sample.video_id, sample.frame_id) for sample in clip.video_data_samples]


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'synthvid'
    make_synthetic_vid(root, train_videos=3, val_videos=1, frames_per_video=12)
    content = json.loads((root / 'train.json').read_text())
    # One small target a frame, in the middle, which is there after most crops and small enough to be pasted.
    content['annotations'] = [
        dict(id=k, image_id=image['id'], video_id=image['video_id'], category_id=1, instance_id=1, iscrowd=0,
             bbox=[60, 60, 8, 8], area=64) for k, image in enumerate(content['images'], 1)]
    (root / 'small.json').write_text(json.dumps(content))
    return root


@pytest.fixture
def witness(data_root, tmp_path):
    """Trains three steps with a config's model, clips and augmentation, on synthetic video; gives a Witness."""
    def witness(name, seed, workers=0, extra=''):
        MMLogger._instance_dict.clear()
        options = TINY + STEPS.replace('batch_size=1', 'batch_size=2') + extra
        config = ArmConfig(name, config_path(name), tuple(options.split())).load(seed)
        data = config.train_dataloader.dataset
        data.update(type='CocoVIDDataset', data_root=None, ann_file=str(data_root / 'small.json'),
                    data_prefix=dict(img_path=str(data_root)), metainfo=dict(classes=None))
        config.train_dataloader.update(num_workers=workers, persistent_workers=False)
        for key in ('val_cfg', 'val_dataloader', 'val_evaluator', 'test_cfg', 'test_dataloader', 'test_evaluator'):
            config[key] = None
        config.work_dir = str(tmp_path / f'{name}_{seed}_{workers}')
        runner, hook = Runner.from_cfg(config), Witness()
        runner.register_hook(hook)
        runner.train()
        return hook
    return witness


def same(one, other):
    return len(one) == len(other) > 0 and all(map(torch.equal, one, other))


@pytest.mark.slow
@pytest.mark.parametrize(('base', 'extra'), [
    ('r18_synthvid', ''), ('r18_thermal', 'model.data_preprocessor.prob=1')])
def test_arms_with_one_seed_differ_in_the_shift_alone(witness, base, extra):
    tsm = witness(f'tsm_faster_rcnn_{base}', 3, extra=extra)
    baseline = witness(f'faster_rcnn_{base}', 3, WORKERS, extra)
    assert tsm.weights.keys() == baseline.weights.keys()
    assert [key for key, weight in tsm.weights.items() if not torch.equal(weight, baseline.weights[key])] == []
    assert tsm.names == baseline.names
    assert same(tsm.frames, baseline.frames)
    assert same(tsm.boxes, baseline.boxes)
    assert (tsm.pasted > 0) == bool(extra)
    other = witness(f'faster_rcnn_{base}', 4)
    assert not torch.equal(tsm.weights['backbone.conv1.weight'], other.weights['backbone.conv1.weight'])
    assert tsm.names != other.names


@pytest.mark.parametrize(('arm', 'baseline'), [
    ('tsm_faster_rcnn_r18_synthvid', 'faster_rcnn_r18_synthvid'),
    ('tsm_faster_rcnn_r18_thermal', 'faster_rcnn_r18_thermal'),
    ('tsm_faster_rcnn_r50_vid', 'faster_rcnn_r50_vid')])
def test_the_configs_of_two_arms_differ_in_the_sites_alone(arm, baseline):
    assert differing_keys(*(ArmConfig(name, config_path(name)).load(0) for name in (arm, baseline))) == [
        'model.backbone.shift_stages', 'model.neck.shift_levels']
