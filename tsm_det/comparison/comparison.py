"""Compare arms over seeds: what tools/compare.py calls."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.logging import print_log

from tsm_det.comparison.comparison_page import headline, page
from tsm_det.comparison.comparison_plots import draw_plots
from tsm_det.comparison.jobs import Children, run_all
from tsm_det.comparison.part_scores import PartScores, VideoTable
from tsm_det.comparison.runs import Run
from tsm_det.comparison.summary import Summary
from tsm_det.comparison.training_arms import TrainingArm, differing_keys
from tsm_det.engines import check_engine
from tsm_det.errors import InputError
from tsm_det.evaluation.evaluation_set import ground_truth_evaluator
from tsm_det.files import write_json, write_text
from tsm_det.runner import check_data


@dataclass
class Plan:
    """What to compare, and how.

    ``jobs`` runs work at a time with ``threads`` each, None: as the cores allow; ``latency_frames`` are timed per arm,
    0: none; ``command`` is the command line.
    """

    runs: Sequence[Run]
    baseline: str
    out: Path
    jobs: int | None = None
    threads: int | None = None
    videos: VideoTable | None = None
    draws: int = 1000
    latency_frames: int = 200
    command: str = ''

    @property
    def arms(self) -> list[TrainingArm]:
        """The arms of the runs."""
        return list(dict.fromkeys(run.arm for run in self.runs))


def compare(plan: Plan) -> str:
    """Do the steps that are left, and write ``table.md``, ``results.json`` and plots into ``plan.out``.

    The files are updated after each run; steps that an earlier call finished are not repeated.

    Returns:
        The table of arms, as Markdown, and the paths of the files.

    Raises:
        InputError: something in the plan is wrong, or a run failed; the others are finished first.
    """
    _check(plan)
    scores = PartScores(plan.arms[0].load(plan.runs[0].seed), plan.videos)
    summary, latency = Summary(plan.arms, plan.baseline, scores, plan.draws), {}
    _write(plan, summary.collect(plan.runs, latency))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    jobs = plan.jobs or (1 if torch.cuda.is_available() else max(1, min(len(plan.runs), cores // (plan.threads or 1))))
    # The same when started again, as sums depend on the number of threads.
    threads = plan.threads or max(1, cores // jobs)
    run_all(plan.runs, jobs, threads, lambda: _write(plan, summary.collect(plan.runs, latency)))
    first = {run.arm.name: run for run in reversed(plan.runs)
             if run.state == 'finished' and (run.folder / 'last_checkpoint').is_file()}
    if plan.latency_frames and plan.baseline in first:
        baseline = first.pop(plan.baseline)
        latency |= {name: measure_latency(run, baseline, plan.out, plan.latency_frames) for name, run in first.items()}
    content = summary.collect(plan.runs, latency)
    written = _write(plan, content)
    if failed := [run for run in plan.runs if run.failed]:
        raise InputError(f'{len(failed)} of {len(plan.runs)} runs failed: read '
                         f'{", ".join(str(run.failed) for run in failed)}, fix the cause and start again')
    return '\n'.join([headline(content), *map(str, written)])


def _check(plan: Plan) -> None:
    """Refuse, before hours are spent, what cannot be compared."""
    names = [arm.name for arm in plan.arms]
    if plan.baseline not in names:
        raise InputError(f'the baseline is {plan.baseline} but the arms are {", ".join(names)}: name one of them')
    for name, least in (('jobs', 1), ('threads', 1), ('draws', 1), ('latency_frames', 0)):
        if getattr(plan, name) is not None and getattr(plan, name) < least:
            raise InputError(f'--{name.replace("_", "-")} is {getattr(plan, name)} but a number from {least} is needed')
    configs = {run.arm: (run, run.arm.load(run.seed)) for run in plan.runs}
    evaluator = ground_truth_evaluator(configs[plan.arms[0]][1])
    for run, config in configs.values():
        check_engine(run.engine)
        check_data(config, 'test_dataloader', *(() if run.trained else ('train_dataloader', 'val_dataloader')))
        if keys := differing_keys(ground_truth_evaluator(config), evaluator):
            raise InputError(f'{run.arm.name} and {names[0]} are tested differently (test_evaluator.{keys[0]}): give '
                             'both the same test_evaluator')


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


def _write(plan: Plan, content: dict) -> list[Path]:
    content = {'command': plan.command, **content}
    write_json(content, plan.out / 'results.json', indent=2)
    write_text(page(content), plan.out / 'table.md')
    return [plan.out / 'table.md', plan.out / 'results.json', *draw_plots(content, plan.out)]
