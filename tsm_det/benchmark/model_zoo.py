"""The table of all detectors: cost relative to the 2D baseline, and published weights."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from tsm_det.benchmark.benchmark import benchmark
from tsm_det.benchmark.workload import BenchmarkOptions
from tsm_det.config import config_names, config_path
from tsm_det.errors import InputError
from tsm_det.files import check_writable, write_text
from tsm_det.locks import locked
from tsm_det.text_table import markdown_table

_HEAD = ('config', 'parameters (M)', 'GFLOPs', 'state (MB)', 'CPU time / 2D', '95 % interval', 'AP50', '2D', 'seeds',
         'published AP50', 'weights (MB)')


def model_zoo(names: Sequence[str], metafile: str | os.PathLike, out: str | os.PathLike, command: str,
              frames: int = 10, trained: Sequence[str | os.PathLike] = (), progress: type[Iterable] = iter) -> str:
    """Benchmark temporal configs against their 2D baselines, random weights, and write one Markdown page.

    Args:
        names: configs that start with ``tsm_`` or ``tps_``; the rest of the name, without ``_gate`` or ``_memory``, is
            the baseline. Empty: all that have one.
        metafile: from ``tools/publish.py``; published weights have AP50 and size.
        out: the page.
        command: the command line, printed on the page.
        frames: timed frames per detector.
        trained: ``results.json`` of comparisons that trained some of the configs and their baselines.
        progress: wraps the names, e.g. ``tqdm``.

    Raises InputError when a name is wrong, a file of ``trained`` is not of a comparison, or the page cannot be written
    or is another run's output.
    """
    pairs = {name: match[1] for name in config_names()
             if (match := re.match('(?:tsm|tps)_(.*?)(?:_gate|_memory)?$', name)) and match[1] in config_names()}
    if wrong := [name for name in names if name not in pairs]:
        raise InputError(f'{wrong[0]} is not a temporal config with a 2D baseline: give some of {", ".join(pairs)}')
    check_writable(out)
    scores = dict(item for path in trained for item in _trained_scores(Path(path)).items())
    published = {Path(model['Config']).stem: model for model in yaml.safe_load(Path(metafile).read_text())['Models']}
    with locked(out):
        options = {name: BenchmarkOptions(config_path(name), config_path(pairs[name]), frames=frames)
                   for name in names or pairs}
        reports = {name: benchmark(options[name], command) for name in progress(options)}
        page = _page(reports, scores, published, command, frames)
        write_text(page, out)
    return page


def _page(reports: dict[str, dict], scores: dict[str, list[str]], published: dict[str, dict], command: str,
          frames: int) -> str:
    rows = [_row(name, report, scores.get(name, ['-'] * 3), published.get(name))
            for name, report in reports.items()]
    report = list(reports.values())[-1]
    machine = report['machine']
    return '\n'.join([
        '# Model zoo', '', f'    {command}', '',
        f'{report["date"]}, {machine["processor"]}, threads: {machine["threads"]}, torch {machine["torch"]}. One '
        'frame of the size of the test pipeline, eager mode. CPU time is the ratio of medians over '
        f'{frames} interleaved frames with random weights. GFLOPs count a multiply-add as two. AP50 and that of the '
        '2D baseline are means over seeds, on the test set of the config; the comparisons are in `docs/results`. '
        'Only detectors named after their 2D baseline are listed, and their variants with gates or a RoI memory; '
        '`data/checkpoints/metafile.yml` has all published weights.', '',
        *markdown_table(_HEAD, rows), ''])


def _trained_scores(path: Path) -> dict[str, list[str]]:
    """AP50, that of the 2D baseline and the number of seeds, by config name; arms with options are left out."""
    try:
        content = json.loads(path.read_text())
        means = {name: f'{arm["mean"]:.3f}' for name, arm in content['parts'][0]['arms'].items()}
        return {Path(arm['config']).stem: [means[arm['name']], means[content['baseline']], str(arm['finished'])]
                for arm in content['arms'] if not arm['options']}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f'{path} is not results.json of a finished tools/compare.py: {error}') from error


def _row(name: str, report: dict, scores: list[str], model: dict | None) -> list[str]:
    arm, ratio = report['arms'][0], report['ratios']['processor']
    size = '{1}x{0}'.format(*report['size'])
    metrics, weights = ('-', '-') if model is None else (
        f'{model["Results"][0]["Metrics"]["coco/AP50"]:.3f}', f'{model["Metadata"]["File Size (MB)"]:.1f}')
    return [f'`{name}` ({size})', f'{arm["parameters"] / 1e6:.1f}', f'{arm["flops"] / 1e9:.1f}',
            f'{arm["state_bytes"] / 1e6:.1f}', f'{ratio["median"]:.3f}', f'{ratio["low"]:.3f} to {ratio["high"]:.3f}',
            *scores, metrics, weights]
