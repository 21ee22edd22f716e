"""Compare arms over seeds: what tools/compare.py calls."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.logging import print_log

from tsm_det.comparison.comparison_page import headline, page
from tsm_det.comparison.comparison_plots import draw_plots
from tsm_det.comparison.jobs import Children, run_all
from tsm_det.comparison.part_scores import PartScores, VideoTable
from tsm_det.comparison.runs import Run
from tsm_det.comparison.summary import Summary
from tsm_det.comparison.training_arms import differing_keys
from tsm_det.engines import check_engine
from tsm_det.errors import InputError
from tsm_det.evaluation.evaluation_set import ground_truth_evaluator
from tsm_det.files import write_json, write_text
from tsm_det.runner import check_data


def compare(runs: Sequence[Run], baseline: str, out: Path, jobs: int | None = None, threads: int | None = None,
            videos: VideoTable | None = None, draws: int = 1000, latency_frames: int = 200, command: str = '') -> str:
    """Do the steps that are left, and write ``table.md``, ``results.json`` and plots into ``out``.

    The files are updated after each run; steps that an earlier call finished are not repeated.

    Args:
        runs: of all arms and seeds.
        baseline: name of the arm that the others are compared with.
        out: folder.
        jobs: runs at a time; None: as the cores allow, 1 with CUDA.
        threads: per run; None: the cores divided by the jobs.
        videos: groups of videos; None: their scenes.
        draws: of the bootstrap.
        latency_frames: timed per arm; 0: none.
        command: the command line, for the table.

    Returns:
        The table of arms, as Markdown, and the paths of the files.

    Raises:
        InputError: an argument is wrong, or a run failed; the others are finished first.
    """
    for name, value, least in (('jobs', jobs, 1), ('threads', threads, 1), ('draws', draws, 1),
                               ('latency-frames', latency_frames, 0)):
        if value is not None and value < least:
            raise InputError(f'--{name} is {value} but a number from {least} is needed')
    _check(runs, baseline)
    summary = Summary(runs, baseline, PartScores(runs[0].arm.load(runs[0].seed), videos), draws)
    latency: dict[str, dict | None] = {}

    def write() -> str:
        content = {'command': command, **summary.collect(latency)}
        write_json(content, out / 'results.json', indent=2)
        write_text(page(content), out / 'table.md')
        return '\n'.join(map(str, [headline(content), out / 'table.md', out / 'results.json',
                                   *draw_plots(content, out)]))

    write()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    jobs = jobs or (1 if torch.cuda.is_available() else max(1, min(len(runs), cores // (threads or 1))))
    # Sums depend on the number of threads: a second start must choose the same.
    run_all(runs, jobs, threads or max(1, cores // jobs), write)
    first = {run.arm.name: run for run in reversed(runs)
             if run.state == 'finished' and (run.folder / 'last_checkpoint').is_file()}
    for name, run in first.items() if latency_frames and baseline in first else ():
        if name != baseline:
            latency[name] = measure_latency(run, first[baseline], out, latency_frames)
    written = write()
    if failed := [run for run in runs if run.failed]:
        raise InputError(f'{len(failed)} of {len(runs)} runs failed: read '
                         f'{", ".join(str(run.failed) for run in failed)}, fix the cause and start again')
    return written


def _check(runs: Sequence[Run], baseline: str) -> None:
    """Refuse, before hours are spent, arms that cannot be compared."""
    first = {run.arm.name: run for run in reversed(runs)}
    if baseline not in first:
        raise InputError(f'the baseline is {baseline} but the arms are {", ".join(sorted(first))}: name one of them')
    evaluator = ground_truth_evaluator(first[baseline].arm.load(0))
    for name, run in first.items():
        check_engine(run.engine)
        config = run.arm.load(run.seed)
        check_data(config, 'test_dataloader', *(() if run.trained else ('train_dataloader', 'val_dataloader')))
        if keys := differing_keys(ground_truth_evaluator(config), evaluator):
            raise InputError(f'{name} and {baseline} are tested differently (test_evaluator.{keys[0]}): give both the '
                             'same test_evaluator')


def measure_latency(run: Run, baseline: Run, out: Path, frames: int) -> dict | None:
    """Time an arm beside the baseline with tools/benchmark.py and the run's weights, unless that is done.

    Returns:
        The content of ``OUT/ARM/latency.json``; None when the benchmark fails.
    """
    figures, configs = out / run.arm.name / 'latency.json', []
    for one in (run, baseline):  # the options of benchmark.py hold for both arms, so theirs go into config files
        configs.append(out / one.arm.name / 'config.py')
        configs[-1].parent.mkdir(parents=True, exist_ok=True)
        one.arm.load(one.seed).dump(configs[-1])
    rpn = run.arm.load(run.seed).model.get('test_cfg', {}).get('rpn')
    command = ('python', str(run.tools / 'benchmark.py'), str(configs[0]), str(run.checkpoint()), '--baseline',
               str(configs[1]), '--engine', run.engine, '--frames', str(frames),
               *(('--proposals', str(rpn.max_per_img)) if rpn else ()), '--json', str(figures))
    content = json.loads(figures.read_bytes()) if figures.is_file() else {}
    if content.get('command') == shlex.join(command):
        return content
    print_log(f'{run.arm.name}: latency beside {baseline.arm.name}, {frames} frames', 'current')
    with Children() as children:
        done = children.call(command, figures.with_name('latency.log'))
    return json.loads(figures.read_bytes()) if done is not None else None
