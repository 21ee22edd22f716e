"""What a frame costs in an arm, as a multiple of the baseline: tools/benchmark.py, alone on the machine."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from mmengine.logging import print_log

from tsm_det.comparison.children import last_line, start, stop
from tsm_det.comparison.run import Run


def measure_latency(arm: Run, baseline: Run, out: Path, tools: Path, frames: int, lock: int) -> dict | None:
    """Time an arm beside the baseline, unless that has been done.

    Args:
        arm: a finished run of the arm; its weights are used for both.
        baseline: a run of the baseline.
        out: folder of the comparison; the figures are in ``OUT/ARM/latency.json``.
        tools: folder of benchmark.py.
        frames: timed an arm.
        lock: from :func:`tsm_det.comparison.children.locked`.

    Returns:
        What benchmark.py wrote; None when it failed, which is said.
    """
    figures, log = out / arm.arm.name / 'latency.json', out / arm.arm.name / 'latency.log'
    # More than the detector hands on would be the same work in both arms, and water down the ratio.
    proposals = arm.arm.load(arm.seed).model.test_cfg.rpn.max_per_img
    command = ('python', str(tools / 'benchmark.py'), str(_config(arm, out)), str(arm.checkpoint()),
               '--baseline', str(_config(baseline, out)), '--engine', arm.engine, '--frames', str(frames),
               '--proposals', str(proposals), '--json', str(figures))
    if figures.is_file():
        content = json.loads(figures.read_bytes())
        if content.get('command') == shlex.join(command):
            return content
    print_log(f'{arm.arm.name}: latency beside {baseline.arm.name}, {frames} frames, log {log}', 'current')
    process = start(command, log, lock)
    try:
        if process.wait():
            print_log(f'{arm.arm.name}: latency FAILED: {last_line(log)} (log {log})', 'current')
            return None
    finally:
        stop([process])
    return json.loads(figures.read_bytes())


def _config(run: Run, out: Path) -> Path:
    """The arm's config with its options in it: benchmark.py gives options to both arms alike."""
    path = out / run.arm.name / 'config.py'
    run.arm.load(run.seed).dump(path)
    return path
