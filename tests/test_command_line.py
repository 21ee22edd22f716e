"""How a tool reads its options and how it ends: with one sentence, and on request, leaving nothing behind."""

import os
import signal
import subprocess
import sys
import threading
from argparse import Namespace
from pathlib import Path

import pytest

from tests.tiny import TINY
from tests.waiting import eventually
from tsm_det import config_path
from tsm_det.config import parse_options
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.engines import ENGINES
from tsm_det.errors import InputError

ROOT = Path(__file__).parent.parent
SHARED = ('cli', 'command_line', 'converters', 'tool_options', 'video_options')
TOOLS = sorted(path.stem for path in (ROOT / 'tools').glob('*.py') if path.stem not in SHARED)
PROGRAM = '''
import os, signal, sys, time
from argparse import Namespace
sys.path.insert(0, 'tools')
from command_line import run

def sleep():
    while True:
        time.sleep(0.01)

def main(args):
    here, there = os.pipe()
    child = os.fork()
    if not child:
        os.write(there, b'!')
        sleep()
    os.read(here, 1)
    os.kill(child, signal.SIGTERM)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        print('child', status, flush=True)
        sleep()
    finally:
        print('cleaned up', flush=True)

run(Namespace, main)
'''


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_a_polite_kill_unwind_this_process_and_end_its_forks(number, status):
    process = subprocess.Popen([sys.executable, '-W', 'ignore', '-c', PROGRAM], cwd=ROOT, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        line = ''
        while not line.startswith('child'):
            line = process.stdout.readline()
            assert line, process.stderr.read()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (line, out, process.returncode) == ('child 143\n', 'cleaned up\n', status)
    assert err.startswith('interrupted: ')
    assert 'Traceback' not in err


@pytest.mark.slow
def test_a_training_that_is_killed_politely_takes_its_workers_along(tmp_path):
    make_synthetic_vid(tmp_path / 'data', train_videos=2, val_videos=1, frames_per_video=6)
    log = tmp_path / 'log'
    with log.open('w') as output:
        process = subprocess.Popen(
            [sys.executable, 'tools/train.py', config_path('tsm_faster_rcnn_r18_synthvid'), '--work-dir',
             str(tmp_path / 'work'), '--cfg-options', f'data_root={tmp_path}/data', *TINY.split(),
             'train_dataloader.num_workers=2', 'default_hooks.logger.interval=1'],
            cwd=ROOT, stdout=output, stderr=output, start_new_session=True,
            env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)})
    try:
        eventually(lambda: 'Iter(train)' in log.read_text() or process.poll() is not None, 120)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143, log.read_text()
        eventually(lambda: not is_there(process.pid), 120)
    finally:
        if is_there(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
    # Behind the sentence, workers that were sending may have something to say.
    said, sentence, _ = log.read_text().partition('interrupted: ')
    assert sentence
    assert 'Traceback' not in said


def is_there(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def run_main(monkeypatch):
    """``run`` of tools/command_line.py, for a main function without options."""
    monkeypatch.syspath_prepend(ROOT / 'tools')
    from command_line import run
    return lambda main: run(Namespace, main)


def test_the_signal_means_afterwards_what_it_did_before(run_main, capsys):
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def main(_):
        seen.append(signal.getsignal(signal.SIGTERM))
        raise InputError('a was b: do c')
    with pytest.raises(SystemExit) as end:
        run_main(main)
    assert (end.value.code, capsys.readouterr().err) == (2, 'error: a was b: do c\n')
    assert signal.getsignal(signal.SIGTERM) is before is not seen[0]


def test_a_name_that_no_file_can_have_gets_one_sentence(run_main, capsys):
    with pytest.raises(SystemExit) as end:
        run_main(lambda _: Path(300 * 'b').stat())
    assert end.value.code == 2 and 300 * 'b' in capsys.readouterr().err


def test_other_errors_keep_their_traceback(run_main):
    with pytest.raises(ValueError, match='not ours'):
        run_main(lambda _: int('not ours'))


def test_a_thread_that_may_set_no_signals_runs_all_the_same(run_main):
    done = []
    thread = threading.Thread(target=lambda: run_main(done.append))
    thread.start()
    thread.join()
    assert done == [Namespace()]


@pytest.mark.parametrize('tool', TOOLS)
def test_help_does_not_wait_for_torch(tool):
    program = ("import runpy, sys\nsys.argv = ['tool', '--help']\nsys.path.insert(0, 'tools')\n"
               f"try:\n    runpy.run_path('tools/{tool}.py', run_name='__main__')\n"
               "except SystemExit:\n    assert not {'torch', 'mmengine', 'numpy', 'tsm_det'} & sys.modules.keys()\n"
               "else:\n    raise AssertionError('no help')\n")
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('usage: python tools/')


def test_the_engines_that_help_names_are_those_there_are(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'tools')
    from tool_options import ENGINES as named
    assert named == ', '.join(ENGINES)


def test_options_are_dotted_keys_with_values_as_python_has_them():
    assert parse_options([]) == {}
    assert parse_options(['a.b=2', 'c=x=y', 'd=[1,2]', 'e=(3,0.5)', 'f=True', 'g=']) == {
        'a.b': 2, 'c': 'x=y', 'd': [1, 2], 'e': (3, 0.5), 'f': True, 'g': ''}


@pytest.mark.parametrize('word', ['score_thr', '0.05', '=3', '--stride=2', '', 'a=(1,2'])
def test_a_word_that_sets_nothing_is_refused(word):
    with pytest.raises(InputError) as refusal:
        parse_options(['a=1', word])
    assert word in str(refusal.value)


@pytest.mark.parametrize('command', [
    'detect_video {config} {checkpoint} {video} --json {config}',
    'detect_video {config} {checkpoint} {video} --save-state {link}',
    'detect_video {config} {checkpoint} {video} --resume-state {state} --json {state}',
    'test {config} {checkpoint} --metrics {checkpoint}',
    'test {config} {checkpoint} --cfg-options test_dataloader.dataset.ann_file={labels} --out {labels}',
    'benchmark {config} {checkpoint} --baseline {config} --json {config}',
    'export_onnx {config} {checkpoint} --size 64 64 --out {link}',
    'publish {checkpoint} --config {config} --metrics {labels} --out {labels}',
    'convert_dataset coco-frames {labels} --images . --out {labels}',
    'convert_dataset select {labels} --out {labels}',
])
def test_no_tool_writes_over_its_input(run, command, tmp_path):
    paths = {name: tmp_path / name for name in ('config', 'checkpoint', 'video', 'state', 'labels', 'link')}
    for name in set(paths) - {'link'}:
        paths[name].write_text(name)
    paths['link'].hardlink_to(paths['checkpoint'])
    status, _, err = run(command.format(**paths))
    assert status == 2
    assert 'would be overwritten' in err and 'Traceback' not in err
    assert all(paths[name].read_text() == name for name in set(paths) - {'link'})
