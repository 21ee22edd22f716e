"""What a frame costs in an arm, as a multiple of the baseline: tools/benchmark.py, alone on the machine."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from mmengine.config import Config
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
    config, baseline_config = (run.arm.load(run.seed) for run in (arm, baseline))
    command = ('python', str(tools / 'benchmark.py'), _dumped(config, out / arm.arm.name), str(arm.checkpoint()),
               '--baseline', _dumped(baseline_config, out / baseline.arm.name), '--engine', arm.engine,
               '--frames', str(frames), '--proposals', str(config.model.test_cfg.rpn.max_per_img),
               '--json', str(figures))
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


def _dumped(config: Config, folder: Path) -> str:
    """Path of a file of an arm's config with its options in it: benchmark.py gives options to both arms alike."""
    config.dump(folder / 'config.py')
    return str(folder / 'config.py')
