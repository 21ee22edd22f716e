"""One table of many benchmarks: engine by model by machine."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from tsm_det.errors import InputError
from tsm_det.files import write_text
from tsm_det.text_table import markdown_table

_HEAD = ('model', 'engine', 'machine, threads', 'px', 'streams', 'shift', '2D', 'mmdet', 'shift / 2D', 'mmdet / shift')


def benchmark_table(paths: Sequence[str | os.PathLike], out: str | os.PathLike, command: str) -> str:
    """Write a Markdown page with one row per benchmark and the command of each.

    Args:
        paths: JSON files of ``tools/benchmark.py --json``, in the order of the rows.
        out: the page.
        command: the command line, printed on the page.

    Raises InputError when a file is not of a benchmark, or the page cannot be written.
    """
    reports = [_read(Path(path)) for path in paths]
    commands = [f'- {report["date"][:10]}: `{report["command"]}`' for report in reports]
    page = '\n'.join([
        '# Speed', '', f'    {command}', '',
        'Median ms per call of the detector with the shift, of its 2D baseline, and of mmdet on the 2D baseline. '
        '`shift / 2D` is the ratio of CPU times, `mmdet / shift` that of times per call, each with its 95 % interval. '
        '[benchmark.md](benchmark.md) says what is timed.', '',
        *markdown_table(_HEAD, [_row(report) for report in reports]), '',
        'The commands, in the order of the rows:', '', *commands, ''])
    write_text(page, out)
    return page


def _read(path: Path) -> dict:
    try:
        report = json.loads(path.read_text())
        _row(report)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f'{path} is not a file of tools/benchmark.py --json: {error}') from error
    return report


def _row(report: dict) -> list[str]:
    arms, ratios, machine, settings = ({arm['name']: arm for arm in report['arms']}, report['ratios'],
                                       report['machine'], report['settings'])
    times = [f'{arms[name]["p50_ms"]:.1f}' if name in arms else '-' for name in ('tsm', '2d', 'mmdet')]
    return [f'`{Path(settings["config"]).stem}`', settings['engine'],
            f'{machine["processor"] if machine["device"] == "cpu" else machine["device"]}, {machine["threads"]}',
            '{1}x{0}'.format(*report['size']), str(settings['streams'] or 1), *times,
            *(_interval(ratios.get(key)) for key in ('processor', 'throughput_vs_mmdet'))]


def _interval(ratio: dict[str, float] | None) -> str:
    return '-' if ratio is None else f'{ratio["median"]:.3f} ({ratio["low"]:.3f} to {ratio["high"]:.3f})'
