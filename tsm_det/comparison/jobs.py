"""Runs side by side, each a chain of commands."""

from __future__ import annotations

import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mmengine.logging import print_log

from tsm_det.comparison.children import last_line, start, stop
from tsm_det.comparison.run import Run, Step

_POLL_S = 0.2
_REPORT_S = 60


class Job(NamedTuple):
    """A step of a run that is being done."""

    run: Run
    step: Step
    process: subprocess.Popen
    started_s: float


def run_all(runs: Sequence[Run], jobs: int, threads: int, lock: int, after_each: Callable[[], None]) -> None:
    """Do what is left of all runs; one that fails leaves the others alone.

    Args:
        runs: in the order they begin.
        jobs: how many run side by side.
        threads: of each, as OMP_NUM_THREADS.
        lock: from :func:`tsm_det.comparison.children.locked`; children hold it too.
        after_each: called when a run is finished.
    """
    waiting, running, reported_s = deque(run for run in runs if run.next_step()), [], time.monotonic()
    try:
        while waiting or running:
            news = _end_those_that_ended(running, waiting, threads)
            while waiting and len(running) < jobs:
                running.append(_start(waiting.popleft(), threads, lock))
            if news:  # only now, as it takes seconds
                after_each()
            if running and time.monotonic() - reported_s > _REPORT_S:
                reported_s = time.monotonic()
                print_log(_progress(runs, running, jobs), 'current')
            time.sleep(_POLL_S)
    finally:
        stop([job.process for job in running])


def _start(run: Run, threads: int, lock: int) -> Job:
    step = run.next_step()
    run.begin(step)
    print_log(f'{run}: {step.name} begins, log {step.log}', 'current')
    return Job(run, step, start(step.command, step.log, lock, threads), time.monotonic())


def _end_those_that_ended(running: list[Job], waiting: deque[Run], threads: int) -> bool:
    """Move runs on by a step, those with more to do to the front of those that wait; whether one is finished."""
    ended = [job for job in running if job.process.poll() is not None]
    for job in ended:
        running.remove(job)
        _end(job, threads)
        if job.run.next_step():
            waiting.appendleft(job.run)
    return any(job.run.state == 'finished' for job in ended)


def _end(job: Job, threads: int) -> None:
    if job.process.returncode:
        job.run.fail(job.step)
        print_log(f'{job.run}: {job.step.name} FAILED: {last_line(job.step.log)} (log {job.step.log})', 'current')
        return
    seconds = time.monotonic() - job.started_s
    job.run.finish(job.step, seconds, threads)
    print_log(f'{job.run}: {job.step.name} ended after {seconds:.0f} s', 'current')


def _progress(runs: Sequence[Run], running: Sequence[Job], jobs: int) -> str:
    finished = [run for run in runs if run.state == 'finished']
    now = ', '.join(f'{job.run} {job.step.name} {job.step.progress()}'.strip() for job in running)
    line = f'{len(finished)} of {len(runs)} runs finished; {now}'
    if finished:
        mean_s = sum(run.seconds for run in finished) / len(finished)
        left = sum(run.state == 'unfinished' for run in runs) * mean_s
        left -= sum(run.seconds for run in runs if run.state == 'unfinished')
        left -= sum(time.monotonic() - job.started_s for job in running)
        line += f'; about {max(left, 0) / jobs / 60:.0f} min left'
    return line
