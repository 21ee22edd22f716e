"""Trainings that end badly: SIGTERM, nan, a full disk, damaged checkpoints, foreign pickles, two at once."""

import builtins
import errno
import os
import signal

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from tests.models.test_checkpoint_file import MakesFolder
from tests.tiny import STEPS, TINY, tiny_like_the_tools
from tsm_det import config_path, files, training_hooks
from tsm_det.config import load_config, parse_options
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.errors import InputError
from tsm_det.locks import locked
from tsm_det.models.checkpoint_file import read_checkpoint
from tsm_det.runner import train
from tsm_det.saved_checkpoints import checkpoint_to_resume
from tsm_det.sealed import check_intact
from tsm_det.training_hooks import StopWithoutLoss

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    make_synthetic_vid(root / 'vid', train_videos=1, val_videos=1, frames_per_video=4)
    return root / 'vid'


@pytest.fixture
def config(tmp_path, data_root):
    options = f'{TINY}{STEPS} data_root={data_root} default_hooks.checkpoint.interval=1'.split()
    return load_config(config_path('tsm_faster_rcnn_r18_synthvid'), parse_options(options), str(tmp_path / 'work'))


@pytest.fixture
def at_step(monkeypatch):
    """Call a function at the end of a training step."""
    def at_step(step, function):
        class Event(Hook):
            def after_train_iter(self, runner, *_, **__):
                if runner.iter + 1 == step:
                    function()
        made = Runner.train

        def run(self):
            self.register_hook(Event(), priority='VERY_HIGH')
            return made(self)
        monkeypatch.setattr(Runner, 'train', run)
    return at_step


def test_sigterm_saves_the_step_and_ends_and_a_resumed_training_continues(config, at_step, tmp_path):
    config.default_hooks.checkpoint.interval = 100
    before = signal.getsignal(signal.SIGTERM)
    at_step(2, lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(2)])  # a launcher forwards it again
    with pytest.raises(KeyboardInterrupt) as end:
        train(config)
    assert end.value.args == (signal.SIGTERM,) and 'iter_2.pth' in end.value.note
    assert signal.getsignal(signal.SIGTERM) is before
    assert read_checkpoint(str(checkpoint_to_resume(tmp_path / 'work')))['meta']['iter'] == 2
    assert not list((tmp_path / 'work').glob('.*')), 'the lock is released'


def test_a_later_sigterm_ends_the_training_at_once(config, at_step, monkeypatch, tmp_path):
    config.default_hooks.checkpoint.interval = 100
    ends = []

    def end(*_):
        ends.append(True)
        raise InterruptedError
    before = signal.signal(signal.SIGTERM, end)
    monkeypatch.setattr(training_hooks, '_REPEAT_S', -1)
    at_step(2, lambda: [os.kill(os.getpid(), signal.SIGTERM) for _ in range(2)])
    try:
        with pytest.raises(InterruptedError):
            train(config)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ends == [True]
    assert not list((tmp_path / 'work').glob('iter_*.pth'))


def test_a_full_disk_is_one_sentence_and_leaves_no_cut_checkpoint(config, monkeypatch, tmp_path):
    write = files.Path.write_bytes

    def full(self, content):
        write(self, content[:1000])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(files.Path, 'write_bytes', full)
    with pytest.raises(InputError, match='No space left'):
        train(config)
    assert not list((tmp_path / 'work').rglob('*.pth*'))


def test_a_full_disk_during_logging_is_one_sentence(config, monkeypatch, at_step):
    def full():
        def no_room(*arguments, **options):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        monkeypatch.setattr(builtins, 'open', no_room)
    at_step(1, full)
    with pytest.raises(InputError, match=r'work.* (no room|cannot be written).*No space left'):
        train(config)


@pytest.fixture
def saved(tmp_path):
    """Checkpoints 1 and 2 of a training."""
    from tsm_det.saved_checkpoints import SealedBackend

    work = tmp_path / 'work'
    for step in (1, 2):
        torch.save({'state_dict': tiny_like_the_tools().state_dict(), 'meta': {'iter': step}}, tmp_path / 'a.pth')
        SealedBackend().put((tmp_path / 'a.pth').read_bytes(), work / f'iter_{step}.pth')
        check_intact(work / f'iter_{step}.pth', sealed=True)
        os.utime(work / f'iter_{step}.pth', (step, step))
    (work / 'last_checkpoint').write_text(str(work / 'iter_2.pth'))
    return work


@pytest.mark.parametrize('damage', [
    lambda path: path.write_bytes(path.read_bytes()[:1000]), lambda path: path.write_bytes(b''),
    lambda path: path.write_bytes(path.read_bytes().replace(b'data.pkl', b'data.pkm')), lambda path: path.unlink(),
    lambda path: torch.save({'state_dict': {'backbone.a': torch.tensor([float('nan')])}}, path)],
    ids=['cut', 'empty', 'flipped', 'gone', 'nan'])
def test_resume_names_the_checkpoint_before_a_damaged_one(saved, damage):
    assert checkpoint_to_resume(saved).name == 'iter_2.pth'
    damage(saved / 'iter_2.pth')
    with pytest.raises(InputError) as refusal:
        checkpoint_to_resume(saved)
    assert str(saved / 'iter_2.pth') in str(refusal.value)
    assert f'--resume {saved / "iter_1.pth"}' in str(refusal.value)


def test_a_loss_that_is_no_number_ends_the_training_after_three_steps():
    class Runner:
        iter = 7
    hook, nan = StopWithoutLoss(), {'loss': torch.tensor(float('nan'))}
    for outputs in (nan, nan, {'loss': 1.0}, nan, nan):
        hook.after_train_iter(Runner, 0, outputs=outputs)
    with pytest.raises(InputError, match='nan for 3 steps, until step 8'):
        hook.after_train_iter(Runner, 0, outputs=nan)


def test_a_second_training_in_a_work_dir_is_refused(config, tmp_path):
    (tmp_path / 'work').mkdir()
    with locked(tmp_path / 'work'), pytest.raises(InputError, match=f'another run writes into {tmp_path}/work'):
        train(config)


@pytest.mark.parametrize('line', [
    'train {config} --work-dir {tmp}/w --cfg-options load_from={file} {options}',
    'train {config} --work-dir {tmp}/w --resume {file} --cfg-options {options}',
    'train {config} --work-dir {tmp}/last --resume --cfg-options {options}',
    'test {config} {file} --work-dir {tmp}/w --cfg-options {options}',
    'detect_video {config} {file} {data}/val/000.mp4 --cfg-options {options}',
    'export_onnx {config} {file} --size 64 64 --out {tmp}/m.onnx --cfg-options {options}',
    'serve {config} {file} --port 0 --cfg-options {options}',
    'benchmark {config} {file} --baseline {config} --frames 1 --warmup 1 --cfg-options {options}',
    'publish {file} --config {config} --metrics {tmp}/m.json --out {tmp}/p.pth --cfg-options {options}',
    'side_by_side {data}/val/000.mp4 --detector a {config} {file} --detector b {config} {file} --out {tmp}/a.gif',
    'convert_weights {file} --out {tmp}/b.pth',
    'plot_results {config} {results} --out {tmp}/plots --cfg-options {options}'])
def test_no_tool_runs_what_a_file_contains(run, tmp_path, data_root, line):
    import pickle
    torch.save({'state_dict': tiny_like_the_tools().state_dict(), 'x': MakesFolder(tmp_path / 'evil')},
               tmp_path / 'file.pth')
    (tmp_path / 'results.pkl').write_bytes(pickle.dumps(MakesFolder(tmp_path / 'evil')))
    (tmp_path / 'm.json').write_text('{"coco/AP50": 0.5, "frames_scored": 1}')
    (tmp_path / 'last').mkdir()
    (tmp_path / 'last' / 'last_checkpoint').write_text(str(tmp_path / 'file.pth'))
    status, out, err = run(line.format(
        config=config_path('tsm_faster_rcnn_r18_synthvid'), tmp=tmp_path, file=tmp_path / 'file.pth', data=data_root,
        results=tmp_path / 'results.pkl', options=f'data_root={data_root} {TINY}'))
    assert status == 2, out + err
    assert 'mkdir' in err.strip().splitlines()[-1] and 'Traceback' not in out + err
    assert not (tmp_path / 'evil').exists()


def test_a_trusted_file_is_loaded_whole(run, tmp_path, data_root):
    torch.save({'state_dict': tiny_like_the_tools().state_dict(), 'x': MakesFolder(tmp_path / 'evil')},
               tmp_path / 'file.pth')
    status, out, err = run(f'detect_video {config_path("tsm_faster_rcnn_r18_synthvid")} {tmp_path}/file.pth '
                           f'{data_root}/val/000.mp4 --max-frames 1 --trust-checkpoint --cfg-options {TINY}')
    assert status == 0, out + err
    assert (tmp_path / 'evil').is_dir()
