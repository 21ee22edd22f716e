"""Two processes equal one: started as a user starts them, on CPUs, joined by gloo."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from tests.tiny import TINY, tiny_like_the_tools
from tsm_det import config_path
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.distributed import process_group
from tsm_det.errors import InputError

ROOT = Path(__file__).parent.parent
CONFIG = config_path('tsm_faster_rcnn_r18_synthvid')
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'synthvid'
    make_synthetic_vid(root, train_videos=3, val_videos=3, frames_per_video=5)
    return root


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('checkpoint') / 'random.pth'
    torch.save({'state_dict': tiny_like_the_tools().state_dict(), 'meta': {}}, path)
    return path


def start(command, **environment):
    """Run a command line in the repository: its exit status and all output."""
    ended = subprocess.run(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable, 'PYTHONPATH': str(ROOT), **environment})
    return ended.returncode, ended.stdout


def scored(tmp_path, name, command, data_root):
    status, printed = start([*command, '--work-dir', str(tmp_path / name), '--metrics', str(tmp_path / f'{name}.json'),
                             '--cfg-options', f'data_root={data_root}', *TINY.split()])
    assert status == 0, printed
    return json.loads((tmp_path / f'{name}.json').read_text())


def test_three_videos_score_the_same_on_one_process_and_on_two(tmp_path, data_root, checkpoint):
    one = scored(tmp_path, 'one', [sys.executable, 'tools/test.py', CONFIG, checkpoint], data_root)
    two = scored(tmp_path, 'two', ['tools/dist_test.sh', CONFIG, checkpoint, '2'], data_root)
    assert one == two
    assert (one['frames_scored'], one['frames_total']) == (15, 15)
    assert one['coco/AP50'] is not None


def test_fewer_videos_than_processes_are_refused(tmp_path, checkpoint):
    make_synthetic_vid(tmp_path / 'data', train_videos=1, val_videos=1, frames_per_video=1)
    status, printed = start(['tools/dist_test.sh', CONFIG, checkpoint, '2', '--work-dir', tmp_path, '--cfg-options',
                             f'data_root={tmp_path}/data', *TINY.split()])
    assert status != 0
    assert re.search(r'^error: .*val.json .*1 video.* 2 processes', printed, re.MULTILINE), printed


@pytest.fixture
def cluster(tmp_path):
    """PATH with an srun and a scontrol that make this machine a cluster of one node."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    (folder / 'srun').write_text('#!/bin/sh\nwhile [ "$1" != bash ]; do shift; done\n'
                                 'SLURM_NODEID=0 SLURM_JOB_NODELIST=here exec "$@"\n')
    (folder / 'scontrol').write_text('#!/bin/sh\necho localhost\n')
    for program in folder.iterdir():
        program.chmod(0o755)
    return f'{folder}:{os.environ["PATH"]}'


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, data_root, cluster):
    options = ['--cfg-options', f'data_root={data_root}', *TINY.split(), 'train_cfg.max_iters=4',
               'train_cfg.val_interval=4', 'param_scheduler.total_steps=4', 'train_dataloader.batch_size=1',
               'train_dataloader.num_workers=1', 'default_hooks.checkpoint.interval=2',
               'default_hooks.logger.interval=1']
    status, printed = start(['tools/slurm_train.sh', 'gpu', 'name', CONFIG, '--work-dir', tmp_path / 'whole', *options],
                            PATH=cluster, GPUS_PER_NODE='2')
    assert status == 0, printed
    status, printed = start(['tools/dist_train.sh', CONFIG, '2', '--work-dir', tmp_path / 'resumed', '--resume',
                             tmp_path / 'whole' / 'iter_2.pth', *options])
    assert status == 0, printed
    assert 'resumed epoch: 0, iter: 2' in printed
    whole, resumed = (torch.load(tmp_path / run / 'iter_4.pth', weights_only=False) for run in ('whole', 'resumed'))
    for part in ('state_dict', 'optimizer'):
        torch.testing.assert_close(resumed[part], whole[part], rtol=0, atol=0)
    assert resumed['param_schedulers'] == whole['param_schedulers']
    losses = [re.findall(r'Iter\(train\) \[([34])/4\].*loss: ([\d.]+)', text)
              for text in (printed, (next((tmp_path / 'whole').glob('2*/2*.log'))).read_text())]
    assert losses[0] == losses[1] != []


SIGNALLED = '''
import os, signal
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Signal(Hook):
    def after_train_iter(self, runner, *_, **__):
        if (get_rank(), runner.iter) == ({rank}, 1):
            os.kill(os.getpid(), signal.SIGTERM)
'''


@pytest.mark.parametrize('rank', [0, 1])
def test_a_signal_to_one_process_saves_the_step_and_ends_all(tmp_path, data_root, rank):
    (tmp_path / 'signalled.py').write_text(SIGNALLED.format(rank=rank))
    (tmp_path / 'config.py').write_text(
        f"_base_ = '{CONFIG}'\ncustom_imports = dict(imports=['tsm_det', 'signalled'])\n"
        "custom_hooks = [dict(type='Signal')]\n")
    status, printed = start(
        ['tools/dist_train.sh', tmp_path / 'config.py', '2', '--work-dir', tmp_path / 'work', '--cfg-options',
         f'data_root={data_root}', *TINY.split(), 'train_cfg.max_iters=50', 'train_dataloader.batch_size=1',
         'train_dataloader.num_workers=1'], PYTHONPATH=f'{ROOT}:{tmp_path}')
    assert status != 0
    assert 'interrupted: --resume continues from the last checkpoint' in printed, printed
    assert [path.name for path in (tmp_path / 'work').glob('*.pth')] == ['iter_2.pth']
    assert (tmp_path / 'work' / 'last_checkpoint').read_text() == str(tmp_path / 'work' / 'iter_2.pth')


@pytest.mark.parametrize('command', [['tools/dist_train.sh', CONFIG], ['tools/dist_test.sh', CONFIG, 'checkpoint']])
def test_the_cache_of_yapf_is_filled_before_the_processes_start(tmp_path, command):
    python = tmp_path / 'python'
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exec {sys.executable} "$@"\n'
                      f'echo at the start: $(cat $(find {tmp_path} -name "*.pickle") | wc -c)\n')
    python.chmod(0o755)
    status, printed = start([*command, '2'], PYTHON=str(python), XDG_CACHE_HOME=str(tmp_path))
    grammars = [path.read_bytes() for path in tmp_path.rglob('*.pickle')]
    assert (status, len(grammars)) == (0, 2)
    assert printed == f'at the start: {sum(map(len, grammars))}\n'


@pytest.mark.parametrize(('command', 'message'), [
    (['tools/dist_train.sh', 'a'], 'usage: tools/dist_train.sh CONFIG NUM_PROCESSES'),
    (['tools/dist_test.sh', 'a', 'b'], 'usage: tools/dist_test.sh CONFIG CHECKPOINT NUM_PROCESSES'),
    (['tools/slurm_train.sh', 'a', 'b'], 'usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG'),
    ([sys.executable, 'tools/train.py', CONFIG, '--launcher', 'pytorch'],
     'error: --launcher pytorch')])
def test_a_wrong_start_is_refused(command, message, data_root):
    options = ['--cfg-options', f'data_root={data_root}'] if 'python' in command[0] else []
    status, printed = start([*command, *options])
    assert status == 2
    assert message in printed and 'Traceback' not in printed


@pytest.mark.parametrize(('launcher', 'variable'), [('slurm', 'SLURM_PROCID'), ('mpi', 'OMPI_COMM_WORLD_RANK')])
def test_launchers_that_need_cuda_are_refused_without_it(monkeypatch, launcher, variable):
    monkeypatch.setenv(variable, '0')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(InputError, match=f'--launcher {launcher} .*CUDA'), process_group(
            Config({'launcher': launcher})):
        pass
