"""One training of one arm with one seed: its commands, its folder, and how far it has come."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

from mmengine.logging import print_log

from tsm_det.comparison.arms import Arm, differing_keys, plain
from tsm_det.errors import InputError
from tsm_det.files import write_json

# Of the lines of mmengine's logger: "Iter(train) [ 50/600] ... eta: 0:01:10", "Iter(test) [50/768] ...".
_PROGRESS = re.compile(rb'\((?:train|test|val)\)\s*(?:\[\d+\])?\[\s*(\d+)/(\d+)\]')


class Step(NamedTuple):
    """A command of a run, as typed in the folder that the comparison was started in, and the file of its output."""

    name: str
    command: tuple[str, ...]
    log: Path

    def progress(self) -> str:
        """The last count in the log, ``'50/600'``, empty before there is one."""
        if not self.log.is_file():
            return ''
        with self.log.open('rb') as file:
            file.seek(max(0, self.log.stat().st_size - 8192))
            counts = _PROGRESS.findall(file.read())
        return b'/'.join(counts[-1]).decode() if counts else ''


class Run:
    """An arm with a seed in ``OUT/ARM/seedS``: trained, then tested; ``run.json`` there says what is finished.

    What was tested with another engine is tested again.

    Args:
        arm: what is trained.
        seed: of initialisation, order and augmentation.
        out: folder of the comparison.
        tools: folder of train.py and test.py.
        engine: that the test streams with, one of ``tsm_det.engines.ENGINES``.

    Raises:
        InputError: what is in the folder was made with another config.
    """

    STEPS = ('train', 'test')

    def __init__(self, arm: Arm, seed: int, out: Path, tools: Path, engine: str = 'eager') -> None:
        self.arm, self.seed, self.tools, self.engine = arm, seed, tools, engine
        self.folder = out / arm.name / f'seed{seed}'
        self.failed: Step | None = None
        self._record = self.folder / 'run.json'
        self._config = plain(arm.load(seed))
        self.steps: dict[str, dict] = {}
        self.starts: dict[str, int] = {}
        if not self._record.is_file():
            self._save()
            return
        content = json.loads(self._record.read_bytes())
        if changed := differing_keys(content['config'], self._config):
            raise InputError(f'{self.folder} was made with another config (other: {", ".join(changed[:5])}): give '
                             'another --out, or remove that folder')
        self.steps, self.starts = content['steps'], content.get('starts', {})
        if 'test' in self.steps and f' --engine {engine} ' not in self.steps['test']['command']:
            print_log(f'{self} was not tested with the engine {engine}: it is tested again', 'current')
            del self.steps['test']
            self.starts.pop('test', None)

    def __str__(self) -> str:
        return f'{self.arm.name} seed {self.seed}'

    @property
    def state(self) -> str:
        """``'finished'``, ``'failed'``, ``'unfinished'``."""
        if len(self.steps) == len(self.STEPS):
            return 'finished'
        return 'failed' if self.failed else 'unfinished'

    @property
    def results(self) -> Path:
        """The detections of all test frames."""
        return self.folder / 'found.pkl'

    @property
    def metrics(self) -> Path:
        """The metrics of the test."""
        return self.folder / 'metrics.json'

    @property
    def seconds(self) -> float:
        """How long the finished steps took since they were last started."""
        return sum(step['seconds'] for step in self.steps.values())

    def checkpoint(self) -> Path:
        """The last checkpoint of the training, which must have ended."""
        return self.folder / Path((self.folder / 'last_checkpoint').read_text().strip()).name

    def next_step(self) -> Step | None:
        """What is to be done next; None when all is, or something failed."""
        name = next((name for name in self.STEPS if name not in self.steps), None)
        if name is None or self.failed:
            return None
        options = ('--cfg-options', *self.arm.options, f'randomness.seed={self.seed}')
        if name == 'train':
            words = (self.arm.config, '--work-dir', str(self.folder), '--resume')
        else:
            words = (self.arm.config, str(self.checkpoint()), '--work-dir', str(self.folder / 'test'),
                     '--metrics', str(self.metrics), '--out', str(self.results), '--engine', self.engine)
        return Step(name, ('python', str(self.tools / f'{name}.py'), *words, *options), self.folder / f'{name}.log')

    def begin(self, step: Step) -> None:
        """Note that a step is started, perhaps not for the first time."""
        self.starts[step.name] = self.starts.get(step.name, 0) + 1
        self._save()

    def finish(self, step: Step, seconds: float, threads: int) -> None:
        """Note that a step has ended well, some seconds after its last start."""
        self.steps[step.name] = {'command': f'OMP_NUM_THREADS={threads} {shlex.join(step.command)}',
                                 'seconds': round(seconds, 1), 'starts': self.starts.get(step.name, 1)}
        self._save()

    def fail(self, step: Step) -> None:
        """Note that a step has failed; a later start tries it again."""
        self.failed = step

    def _save(self) -> None:
        write_json({'config': self._config, 'starts': self.starts, 'steps': self.steps}, self._record, indent=2)
