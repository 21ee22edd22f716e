"""Compare arms over seeds: what tools/compare.py calls."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import torch
import yapf  # noqa: F401  # fills its cache now: two trainings that fill it at once fail (yapf issue 1204)
from mmengine.logging import print_log
from tqdm import tqdm

from tsm_det.comparison.comparison_page import headline, page
from tsm_det.comparison.comparison_plots import draw_plots
from tsm_det.comparison.runs import Run, differing_keys
from tsm_det.comparison.summary import PartScores, Summary, VideoTable
from tsm_det.engines import check_engine
from tsm_det.errors import InputError
from tsm_det.evaluation.evaluation_set import ground_truth_evaluator, tested_classes
from tsm_det.files import check_folder, write_json, write_text
from tsm_det.locks import locked
from tsm_det.runner import check_data


def compare(runs: Sequence[Run], baseline: str, out: Path, jobs: int | None = None, threads: int | None = None,
            videos: VideoTable | None = None, draws: int = 1000, latency_frames: int = 200, command: str = '') -> str:
    """Do the steps that are left, and write ``table.md``, ``results.json`` and plots into the folder ``out``.

    The files are updated after each run; steps that an earlier call finished are not repeated. Returns the table of
    arms, as Markdown, and the paths of the files. Raises InputError when an argument is wrong, or when a run failed,
    after the others are finished.

    Args:
        runs: of all arms and seeds.
        baseline: name of the arm that the others are compared with.
        jobs: runs at a time; None: as many as the cores allow, 1 with CUDA.
        threads: per run; None: the cores divided by the jobs.
        videos: groups of videos; None: their scenes.
        draws: of the bootstrap.
        latency_frames: timed per arm; 0: none.
        command: the command line, for the table.
    """
    _check(runs, baseline, {'jobs': jobs, 'threads': threads, 'draws': draws, 'latency-frames': latency_frames})
    check_folder(out)
    with locked(out):
        return _compare(runs, baseline, out, _shares(len(runs), jobs, threads),
                        Summary(runs, baseline, PartScores(runs[0].arm.load(runs[0].seed), videos), draws),
                        latency_frames, command)


def _compare(runs: Sequence[Run], baseline: str, out: Path, shares: tuple[int, int], summary: Summary,
             latency_frames: int, command: str) -> str:
    latency: dict[str, dict | None] = {}

    def write() -> str:
        content = {'command': command, **summary.collect(latency)}
        write_json(content, out / 'results.json', indent=2)
        write_text(page(content), out / 'table.md')
        paths = [out / 'table.md', out / 'results.json', *draw_plots(content, out)]
        return '\n'.join(map(str, [headline(content), *paths]))

    write()
    run_all(runs, *shares, write)
    first = {run.arm.name: run for run in reversed(runs)
             if run.state == 'finished' and (run.folder / 'last_checkpoint').is_file()}
    if latency_frames and baseline in first:
        latency |= {name: measure_latency(run, first[baseline], out, latency_frames)
                    for name, run in first.items() if name != baseline}
    written = write()
    if failed := [str(run.failed) for run in runs if run.failed]:
        raise InputError(f'{len(failed)} of {len(runs)} runs failed: read {", ".join(failed)}, fix the cause and start '
                         'again')
    return written


def _shares(num_runs: int, jobs: int | None, threads: int | None) -> tuple[int, int]:
    """Choose runs at a time and threads per run: on one machine always the same, as sums depend on the threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    jobs = jobs or (1 if torch.cuda.is_available() else max(1, min(num_runs, cores // (threads or 1))))
    return jobs, threads or max(1, cores // jobs)


def _check(runs: Sequence[Run], baseline: str, numbers: dict[str, int | None]) -> None:
    """Refuse, before hours are spent, options out of range and arms that cannot be compared."""
    for name, value in numbers.items():
        least = 0 if name == 'latency-frames' else 1
        if value is not None and value < least:
            raise InputError(f'--{name} is {value} but must be at least {least}')
    first = {run.arm.name: run for run in reversed(runs)}
    if baseline not in first:
        raise InputError(f'the baseline is {baseline} but the arms are {", ".join(sorted(first))}: name one of them')
    expected = first[baseline].arm.load(0)
    evaluator, classes = ground_truth_evaluator(expected), tested_classes(expected)
    for name, run in first.items():
        check_engine(run.engine)
        config = run.arm.load(run.seed)
        check_data(config, 'test_dataloader', *(() if run.trained else ('train_dataloader', 'val_dataloader')))
        if keys := differing_keys(ground_truth_evaluator(config), evaluator):
            raise InputError(f'{name} and {baseline} are tested differently (test_evaluator.{keys[0]}): give both the '
                             'same test_evaluator')
        if (own := tested_classes(config)) != classes:
            raise InputError(f'{name} has the classes {", ".join(own)} but {baseline} {", ".join(classes)}: compare '
                             'arms whose test_dataloader.dataset.metainfo.classes are the same, in the same order')


def run_all(runs: Sequence[Run], jobs: int, threads: int, after_each: Callable[[], object]) -> None:
    """Train and test all that is left, ``jobs`` runs at a time with ``threads`` each; a failed run stops no other."""
    left = [run for run in runs if run.next_step]
    with (ThreadPoolExecutor(jobs) as pool, _children(threads) as call,
          tqdm(total=len(left), desc='runs', disable=not left) as bar):
        for done in as_completed([pool.submit(_finish, run, threads, call) for run in left]):
            done.result()
            bar.update()
            after_each()


def _finish(run: Run, threads: int, call: Callable[[Sequence[str], Path], float | None]) -> None:
    while name := run.next_step:
        command, log = run.command(), run.folder / f'{name}.log'
        resumed = name == 'train' and (run.folder / 'last_checkpoint').is_file()
        run.save()
        print_log(f'{run}: {name} starts, log {log}', 'current')
        seconds = call(command, log)
        if seconds is None:
            run.failed = log
        else:
            run.save(**{name: {'command': f'OMP_NUM_THREADS={threads} {shlex.join(command)}',
                               'seconds': round(seconds, 1), 'resumed': resumed}})


@contextmanager
def _children(threads: int | None = None) -> Iterator[Callable[[Sequence[str], Path], float | None]]:
    """Context manager: gives a function that runs a command and appends its output to a log, from several threads.

    Commands begin with ``python``. The function returns the seconds, or None when the command fails. Leaving the block
    terminates the commands that still run.
    """
    environment = {'OMP_WAIT_POLICY': 'PASSIVE', **os.environ, **({'OMP_NUM_THREADS': str(threads)} if threads else {})}
    started, lock, ended = [], threading.Lock(), threading.Event()

    def call(command: Sequence[str], log: Path) -> float | None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open('ab') as output:
            with lock:
                if ended.is_set():
                    raise CancelledError
                start = time.monotonic()
                child = subprocess.Popen([sys.executable, *command[1:]], stdin=subprocess.DEVNULL, stdout=output,
                                         stderr=subprocess.STDOUT, env=environment)
                started.append(child)
            code = child.wait()
        if code:
            print_log(f'FAILED: {shlex.join(command)} (log {log})', 'current')
        return None if code else time.monotonic() - start

    try:
        yield call
    finally:
        with lock:
            ended.set()
        for child in started:
            child.terminate()


def measure_latency(run: Run, baseline: Run, out: Path, frames: int) -> dict | None:
    """Time an arm beside the baseline with tools/benchmark.py and the run's weights, unless that is done.

    Returns the content of ``OUT/ARM/latency.json``; None when the benchmark fails.
    """
    figures, configs = out / run.arm.name / 'latency.json', []
    for one in (run, baseline):  # the options of benchmark.py hold for both arms, so theirs go into config files
        configs.append(out / one.arm.name / 'config.py')
        configs[-1].parent.mkdir(parents=True, exist_ok=True)
        one.arm.load(one.seed).dump(configs[-1])
    rpn = run.arm.load(run.seed).model.get('test_cfg', {}).get('rpn')
    command = ('python', str(run.tools / 'benchmark.py'), str(configs[0]), str(run.checkpoint()), '--baseline',
               str(configs[1]), '--engine', run.engine, '--frames', str(frames),
               *(('--proposals', str(rpn.max_per_img)) if rpn else ()), *run.flags, '--json', str(figures))
    content = json.loads(figures.read_bytes()) if figures.is_file() else {}
    if content.get('command') == shlex.join(command):
        return content
    print_log(f'{run.arm.name}: latency beside {baseline.arm.name}, {frames} frames', 'current')
    with _children() as call:
        done = call(command, figures.with_name('latency.log'))
    return json.loads(figures.read_bytes()) if done is not None else None
