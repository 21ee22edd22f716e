"""How a command line ends: in one sentence, and when it is asked to, leaving nothing behind."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.tiny import TINY
from tests.waiting import eventually
from tsm_det import config_path
from tsm_det.cli import one_sentence_errors
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.errors import InputError

ROOT = Path(__file__).parent.parent
PROGRAM = '''
import os, signal, time
from tsm_det.cli import one_sentence_errors

# What a shell starts in the background ignores Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

def sleep():
    while True:
        time.sleep(0.01)

@one_sentence_errors
def main():
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

main()
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
    assert err.splitlines()[-1] == 'interrupted: what was written so far is kept'
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
    said, sentence, _ = log.read_text().partition('interrupted: what was written so far is kept')
    assert sentence
    assert 'Traceback' not in said


def is_there(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_signal_means_afterwards_what_it_did_before(capsys):
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    @one_sentence_errors
    def main():
        seen.append(signal.getsignal(signal.SIGTERM))
        raise InputError('a was b: do c')
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code, capsys.readouterr().err) == (2, 'error: a was b: do c\n')
    assert signal.getsignal(signal.SIGTERM) is before is not seen[0]


def test_a_thread_that_may_set_no_signals_runs_all_the_same():
    done = []
    thread = threading.Thread(target=one_sentence_errors(lambda: done.append(True)))
    thread.start()
    thread.join()
    assert done == [True]
