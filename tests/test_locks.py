"""One run per output."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tsm_det.errors import InputError
from tsm_det.locks import locked

HOLDER = '''
import os, sys, time
from tsm_det.locks import locked

with locked(*sys.argv[1:]):
    if not os.fork():
        time.sleep(30)  # a worker process that outlives a killed run
        os._exit(0)
    print('held', flush=True)
    time.sleep(60)
'''


@contextmanager
def another_run(*paths):
    """Another process holds the locks."""
    process = subprocess.Popen([sys.executable, '-W', 'ignore', '-c', HOLDER, *map(str, paths)], stdout=subprocess.PIPE,
                               text=True, start_new_session=True)
    try:
        assert process.stdout.readline() == 'held\n'
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_second_run_is_refused_until_the_first_is_killed(tmp_path):
    folder, file = tmp_path / 'work', tmp_path / 'new' / 'out.json'
    folder.mkdir()
    with another_run(folder, file) as first:
        for path in (folder, file):
            with pytest.raises(InputError, match=str(path)), locked(path):
                pass
        with locked(tmp_path / 'new' / 'other.json', None):
            pass
        first.kill()
        first.wait()
        with locked(folder, file):
            pass


def test_a_lock_holds_within_a_process_and_by_any_name(tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path)
    with locked(tmp_path / 'out.json'), pytest.raises(InputError), locked(tmp_path / 'link' / 'out.json'):
        pass


def test_nothing_is_left_behind(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path, tmp_path / 'out.json'):
        assert len(os.listdir(tmp_path)) == 2
        raise KeyError
    assert os.listdir(tmp_path) == []


def test_what_is_no_file_can_be_shared():
    with locked(os.devnull), locked(os.devnull):
        pass
