"""The report of a check: what the file holds, notes, and problems."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from tsm_det.cocovid.read import Problem

_IN_FULL = 20


@dataclass
class CheckReport:
    """The table, notes and problems of a file; ``str()`` prints all of them.

    ``exit_status`` is 1 with problems; notes need no fix.
    """

    table: str
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        return int(bool(self.problems))

    def __str__(self) -> str:
        lines = [self.table, *(f'note: {note}' for note in self.notes)]
        lines.append(f'{len(self.problems) or "no"} problem{"s" * (len(self.problems) != 1)}')
        lines += [f'  {problem}' for problem in self.problems[:_IN_FULL]]
        if rest := self.problems[_IN_FULL:]:
            lines.append(f'  and {len(rest)} more:')
            lines += [f'  {line}' for line in _by_kind(rest)]
        return '\n'.join(lines)


def _by_kind(problems: list[Problem]) -> list[str]:
    """One line per kind of problem, with all ids."""
    kinds = defaultdict(list)
    for problem in problems:
        kinds[problem.kind, problem.what].append(problem.id)
    plural = {'category': 'categories'}
    return [f'{kind} ({len(ids)}): {plural.get(what, f"{what}s")} {list_ids(ids)}'
            for (kind, what), ids in kinds.items()]


def list_ids(ids: Iterable[int | str]) -> str:
    """List all ids; write runs of numbers as ``first-last``."""
    numbers = sorted({number for number in ids if isinstance(number, int)})
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    texts = [f'{run[0]}-{run[-1]}' if len(run) > 2 else ', '.join(map(str, run)) for run in runs]
    return ', '.join([*texts, *dict.fromkeys(name for name in ids if isinstance(name, str))])
