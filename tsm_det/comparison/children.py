"""Child processes that end when this one does, and a folder that one comparison at a time works in."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

# Whoever imports yapf first on a machine writes its grammar into a cache, and another process that comes at that
# moment reads half of it (EOFError, yapf issue 1204). Trainings import it to print their config; now it is there.
import yapf  # noqa: F401

from tsm_det.errors import InputError

_POLL_S = 0.2
_PATIENCE_S = 10
_PR_SET_PDEATHSIG = 1


def start(command: Sequence[str], log: Path, lock: int, threads: int | None = None) -> subprocess.Popen:
    """Start a command that begins with ``python``, its output added to a file.

    It has a process group of its own, so that Ctrl-C reaches this process alone, which then stops it; where the
    system can (Linux), it ends when this process is killed.
    """
    environment = {'OMP_WAIT_POLICY': 'PASSIVE', **os.environ}
    if threads:
        environment['OMP_NUM_THREADS'] = str(threads)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('ab') as output:
        return subprocess.Popen(
            [sys.executable, *command[1:]], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env=environment, start_new_session=True, pass_fds=(lock,), preexec_fn=_end_with_parent())


def stop(processes: Sequence[subprocess.Popen]) -> None:
    """End processes and their children; what they have saved is whole."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    for process in processes:
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Keep other comparisons out of a folder; gives a file descriptor that keeps them out in children too.

    Raises:
        InputError: another comparison, or what one left running, is at work there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / '.lock').open('w')
    except OSError as error:
        raise InputError(f'{folder} cannot be written ({error}): name a folder that you may write to') from error
    with file:
        patience_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > patience_s:
                    raise InputError(f'another comparison is at work in {folder}: wait until it ends, or give '
                                     'another --out') from None
                time.sleep(_POLL_S)
        yield file.fileno()


def last_line(log: Path) -> str:
    """The last line of a log that is not empty."""
    lines = [line for line in log.read_text(errors='replace').splitlines() if line.strip()]
    return lines[-1].strip() if lines else 'without a word'


def _end_with_parent() -> Callable[[], None] | None:
    if not sys.platform.startswith('linux'):
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
