"""Train arms with several seeds, stream the evaluation, and say how they compare: what tools/compare.py calls."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.logging import print_log

from tsm_det.comparison.arms import Arm, differing_keys
from tsm_det.comparison.children import locked
from tsm_det.comparison.evidence import VideoTable, read_evidence
from tsm_det.comparison.jobs import run_all
from tsm_det.comparison.latency import measure_latency
from tsm_det.comparison.plots import draw_plots
from tsm_det.comparison.run import Run
from tsm_det.comparison.summary import Summary
from tsm_det.comparison.table import headline, page
from tsm_det.engines import check_engine
from tsm_det.errors import InputError
from tsm_det.evaluation.matched_results import evaluator_with_truth
from tsm_det.files import write_json, write_text
from tsm_det.runner import check_data


@dataclass
class Plan:
    """What is to be compared, and how.

    ``tools`` is the folder of train.py, test.py and benchmark.py; ``jobs`` run side by side with ``threads`` each,
    None: as the cores allow; ``engine`` streams the tests and is timed; ``latency_frames`` are timed an arm, 0 times
    nothing; ``command`` is what was typed.
    """

    arms: Sequence[Arm]
    baseline: str
    seeds: Sequence[int]
    out: Path
    tools: Path
    jobs: int | None = None
    threads: int | None = None
    videos: VideoTable | None = None
    draws: int = 1000
    engine: str = 'eager'
    latency_frames: int = 200
    command: str = ''


def compare(plan: Plan) -> str:
    """Do what is left to do, and write ``table.md``, ``results.json`` and plots into ``plan.out``.

    They are written anew whenever a run is finished; what was finished by an earlier call is not done again.

    Returns:
        The table of arms, as Markdown, and what files there are.

    Raises:
        InputError: something in the plan is wrong, or a run failed, which its log explains; the others went on.
    """
    _check(plan)
    with locked(plan.out) as lock:
        runs = [Run(arm, seed, plan.out, plan.tools, plan.engine) for seed in plan.seeds for arm in plan.arms]
        summary = Summary(plan.arms, plan.baseline,
                          read_evidence(plan.arms[0].load(plan.seeds[0]), plan.videos), plan.draws)
        latency: dict[str, dict] = {}
        _write(plan, summary.collect(runs, latency))
        jobs, threads = _shares(plan, len(runs))
        print_log(f'{sum(run.state != "finished" for run in runs)} of {len(runs)} runs to do, {jobs} side by side with '
                  f'{threads} threads each', 'current')
        run_all(runs, jobs, threads, lock, lambda: _write(plan, summary.collect(runs, latency)))
        if plan.latency_frames:
            latency |= _latency(plan, runs, lock)
        content = summary.collect(runs, latency)
        written = _write(plan, content)
    if failed := [run for run in runs if run.failed]:
        raise InputError(f'{len(failed)} of {len(runs)} runs failed, the others went on: read '
                         f'{", ".join(str(run.failed.log) for run in failed)}, mend it and start again')
    return '\n'.join([headline(content), *map(str, written)])


def _check(plan: Plan) -> None:
    """Refuse, before hours are spent, what could not be compared."""
    if plan.baseline not in {arm.name for arm in plan.arms}:
        raise InputError(f'the baseline {plan.baseline} is no arm: name one of '
                         f'{", ".join(arm.name for arm in plan.arms)}')
    for name, least in (('jobs', 1), ('threads', 1), ('draws', 1), ('latency_frames', 0)):
        if getattr(plan, name) is not None and getattr(plan, name) < least:
            raise InputError(f'--{name.replace("_", "-")} is {getattr(plan, name)} but a number from {least} is needed')
    if min(plan.seeds) < 0:
        raise InputError(f'--seeds has {min(plan.seeds)} but numbers from 0 are needed')
    check_engine(plan.engine)
    configs = [arm.load(plan.seeds[0]) for arm in plan.arms]
    for arm, config in zip(plan.arms, configs, strict=True):
        check_data(config, 'train_dataloader', 'val_dataloader', 'test_dataloader')
        if keys := differing_keys(evaluator_with_truth(config), evaluator_with_truth(configs[0])):
            raise InputError(f'{arm.name} and {plan.arms[0].name} are not tested alike (test_evaluator.{keys[0]} '
                             'differs), so nothing can be said of them: give both the same test_evaluator')


def _shares(plan: Plan, num_runs: int) -> tuple[int, int]:
    """How many jobs at once, and the threads of each: the same when started again, as sums depend on threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    jobs = plan.jobs or (1 if torch.cuda.is_available() else max(1, min(num_runs, cores // (plan.threads or 1))))
    return jobs, plan.threads or max(1, cores // jobs)


def _latency(plan: Plan, runs: Sequence[Run], lock: int) -> dict[str, dict]:
    """By arm; those of which a run is finished, when the baseline is known to train."""
    first = {}
    for run in runs:
        if run.state == 'finished':
            first.setdefault(run.arm.name, run)
    baseline = first.pop(plan.baseline, None)
    measured = {name: measure_latency(run, baseline, plan.out, plan.tools, plan.latency_frames, lock)
                for name, run in first.items() if baseline}
    return {name: figures for name, figures in measured.items() if figures}


def _write(plan: Plan, content: dict) -> list[Path]:
    content = {'command': plan.command, **content}
    write_json(content, plan.out / 'results.json', indent=2)
    write_text(page(content), plan.out / 'table.md')
    return [plan.out / 'table.md', plan.out / 'results.json', *draw_plots(content, plan.out)]
