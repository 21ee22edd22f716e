"""tools/test.py --ray: the scores of one process, to the last digit."""

import json
import pickle
import socket
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

pytest.importorskip('ray', reason="needs pip install 'tsm_det[ray]'")
from tests.tiny import TINY, tiny_like_the_tools
from tsm_det import config_path, ray_testing
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.errors import InputError

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
CONFIG = config_path('tsm_faster_rcnn_r18_synthvid')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('checkpoint') / 'random.pth'
    torch.save({'state_dict': tiny_like_the_tools().state_dict(), 'meta': {}}, path)
    return path


@pytest.fixture
def data_root(tmp_path):
    make_synthetic_vid(tmp_path / 'synthvid', train_videos=1, val_videos=3, frames_per_video=5)
    return tmp_path / 'synthvid'


@pytest.fixture
def tested(run, data_root, checkpoint, tmp_path):
    """Runs tools/test.py: the metrics, and the detections of all frames in order."""
    def tested(name, options, config=CONFIG):
        outputs = f'--work-dir {tmp_path}/work --metrics {tmp_path}/{name}.json --out {tmp_path}/{name}.pkl'
        status, out, err = run(f'test {config} {checkpoint} {outputs} {options} '
                               f'--cfg-options data_root={data_root} {TINY}')
        assert status == 0, out + err
        return (json.loads((tmp_path / f'{name}.json').read_text()),
                pickle.loads((tmp_path / f'{name}.pkl').read_bytes()))
    return tested


@pytest.fixture
def without_a_cluster(monkeypatch):
    """Actors in this process, from what a cluster would send them; the last video ends first."""
    def rows_of_actors(rows, actor, arguments, *_, **__):
        actors = [actor(*pickle.loads(pickle.dumps(arguments))) for _ in range(2)]
        return [actors[row['video'] % 2](row) for row in reversed(rows)]
    monkeypatch.setattr('tsm_det.fleet.actors.rows_of_actors', rows_of_actors)
    monkeypatch.setattr('tsm_det.fleet.actors.connected', lambda _: nullcontext())


def check_equal(one, other):
    assert one[0] == other[0]
    assert (one[0]['frames_scored'], one[0]['frames_total']) == (15, 15)
    assert one[0]['coco/AP50'] is not None
    for frame, twin in zip(one[1], other[1], strict=True):
        assert (frame['video_id'], frame['frame_id'], frame.get('reset')) == (
            twin['video_id'], twin['frame_id'], twin.get('reset'))
        assert len(frame['pred_instances']['scores']) > 0
        for key, value in frame['pred_instances'].items():
            np.testing.assert_array_equal(value, twin['pred_instances'][key])


DIES = """
import os
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class DieOnce(Hook):
    def before_test_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx == 3:
            try:
                open({died!r}, 'x')
            except FileExistsError:
                return
            os._exit(1)
"""


def test_two_detectors_on_ray_of_which_one_dies_score_as_one_process(tested, tmp_path, monkeypatch):
    (tmp_path / 'dies.py').write_text(DIES.format(died=str(tmp_path / 'died')))
    (tmp_path / 'config.py').write_text(
        f"_base_ = '{CONFIG}'\ncustom_imports = dict(imports=['tsm_det', 'dies'])\n"
        "custom_hooks = [dict(type='DieOnce')]\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv('PYTHONPATH', f'{tmp_path}:{ROOT}')
    one = tested('one', '')
    assert not (tmp_path / 'died').exists()
    check_equal(one, tested('ray', '--ray local --actors 2', tmp_path / 'config.py'))
    assert (tmp_path / 'died').exists()


@pytest.mark.parametrize(('config', 'options'), [
    (CONFIG, ''), (CONFIG, '--engine fast --average-scores 3'),
    (config_path('tsm_faster_rcnn_r18_synthvid_offline'), '')], ids=['online', 'engine and averages', 'offline'])
def test_actors_give_what_one_process_gives(tested, without_a_cluster, config, options):
    check_equal(tested('one', options, config), tested('ray', f'--ray local {options}', config))


def test_random_weights_are_the_same_in_all_actors(run, without_a_cluster, data_root, tmp_path):
    """Of a config without a seed."""
    seen = []
    run_loop = ray_testing.TestingActor._results

    def results(actor, video):
        found = run_loop(actor, video)
        seen.append(torch.cat([weight.flatten() for weight in actor._runner.model.state_dict().values()]))
        return found
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_testing.TestingActor, '_results', results)
        status, out, err = run(f'test {CONFIG} none --ray local --work-dir {tmp_path}/work --cfg-options '
                               f'data_root={data_root} randomness.seed=None {TINY}')
    assert status == 0, out + err
    assert len(seen) == 3
    assert torch.equal(seen[0], seen[1]) and torch.equal(seen[0], seen[2])


def test_a_broken_video_ends_the_test_with_its_sentence(run, without_a_cluster, data_root, checkpoint, tmp_path):
    (data_root / 'val' / '001.mp4').write_bytes(b'broken')
    status, _, err = run(f'test {CONFIG} {checkpoint} --ray local --work-dir {tmp_path}/work '
                         f'--metrics {tmp_path}/m.json --cfg-options data_root={data_root} {TINY}')
    assert status == 2
    assert '001.mp4' in err.strip().splitlines()[-1] and 'Traceback' not in err
    assert not (tmp_path / 'm.json').exists()


def test_a_machine_without_the_folder_is_named(tmp_path):
    row = ray_testing.TestingActor(None, None, str(tmp_path / 'gone'))({'video': 0})
    assert f'{tmp_path}/gone' in row['error'] and socket.gethostname() in row['error']


def test_a_launcher_beside_ray_is_refused():
    with pytest.raises(InputError, match='--launcher pytorch'):
        ray_testing.test_on_ray(None, Config({'launcher': 'pytorch'}), 'local')


@pytest.mark.parametrize(('options', 'fact'), [
    ('--ray local --actors 0', '--actors'), ('--ray local --gpus-per-actor -1', '--gpus-per-actor'),
    ('--ray 127.0.0.1:1', '127.0.0.1:1')])
def test_bad_input_ends_with_status_2_and_one_sentence(run, data_root, checkpoint, tmp_path, options, fact):
    status, _, err = run(f'test {CONFIG} {checkpoint} {options} --work-dir {tmp_path} --cfg-options '
                         f'data_root={data_root} {TINY}')
    assert status == 2
    assert fact in err.strip().splitlines()[-1] and 'Traceback' not in err


def test_without_ray_the_package_to_install_is_named(run, data_root, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tsm_det.fleet.actors', None)
    status, _, err = run(f'test {CONFIG} {checkpoint} --ray local --work-dir {tmp_path} --cfg-options '
                         f'data_root={data_root} {TINY}')
    assert status == 2
    assert 'tsm_det[ray]' in err
