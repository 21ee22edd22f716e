"""Run the steps of a comparison as subprocesses."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from pathlib import Path

import yapf  # noqa: F401  # fills its cache now: two trainings that fill it at once fail (yapf issue 1204)
from mmengine.logging import print_log
from tqdm import tqdm

from tsm_det.comparison.runs import Run


class Children:
    """Runs commands that begin with ``python``, from several threads; leaving the block terminates those left."""

    def __init__(self, threads: int | None = None) -> None:
        self._running: set[subprocess.Popen] | None = set()
        self._lock = threading.Lock()
        self._environment = {'OMP_WAIT_POLICY': 'PASSIVE', **os.environ,
                             **({'OMP_NUM_THREADS': str(threads)} if threads else {})}

    def call(self, command: Sequence[str], log: Path) -> float | None:
        """Append the output to a log; return the seconds, or None when the command fails."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open('ab') as output:
            with self._lock:
                if self._running is None:
                    raise CancelledError
                start = time.monotonic()
                child = subprocess.Popen([sys.executable, *command[1:]], stdin=subprocess.DEVNULL, stdout=output,
                                         stderr=subprocess.STDOUT, env=self._environment)
                self._running.add(child)
            code = child.wait()
        if code:
            print_log(f'FAILED: {shlex.join(command)} (log {log})', 'current')
        return None if code else time.monotonic() - start

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            running, self._running = self._running, None
        for child in running:
            child.terminate()


def run_all(runs: Sequence[Run], jobs: int, threads: int, after_each: Callable[[], object]) -> None:
    """Train and test all that is left, ``jobs`` at a time with ``threads`` each; failures leave the others alone."""
    left = [run for run in runs if run.next_step]
    with (ThreadPoolExecutor(jobs) as pool, Children(threads) as children,
          tqdm(total=len(left), desc='runs', disable=not left) as bar):
        for done in as_completed([pool.submit(_finish, run, threads, children) for run in left]):
            done.result()
            bar.update()
            after_each()


def _finish(run: Run, threads: int, children: Children) -> None:
    while name := run.next_step:
        command, log = run.command(), run.folder / f'{name}.log'
        resumed = name == 'train' and (run.folder / 'last_checkpoint').is_file()
        run.save()
        print_log(f'{run}: {name} starts, log {log}', 'current')
        seconds = children.call(command, log)
        if seconds is None:
            run.failed = log
        else:
            run.save(**{name: {'command': f'OMP_NUM_THREADS={threads} {shlex.join(command)}',
                               'seconds': round(seconds, 1), 'resumed': resumed}})
