"""The arms and runs of a comparison: a run is an arm with a seed, trained and tested here or elsewhere."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.logging import print_log

from tsm_det.config import load_config, parse_options
from tsm_det.errors import InputError
from tsm_det.files import write_json


class ArmConfig(NamedTuple):
    """A name, a config file, and its overrides, ``KEY=VALUE`` each."""

    name: str
    config: str
    options: tuple[str, ...] = ()

    def load(self, seed: int) -> Config:
        """The config of one training; raise InputError when it cannot be read, or an option is not KEY=VALUE."""
        return load_config(self.config, parse_options((*self.options, f'randomness.seed={seed}')))


class Run:
    """An arm with a seed. Its folder has ``run.json`` with the finished steps, which are not repeated.

    Raises InputError when the run in the folder was made with another config.

    Args:
        arm: its config.
        seed: of initialisation, order and augmentation.
        folder: of checkpoints, logs, ``found.pkl`` and ``metrics.json``.
        tools: folder of train.py and test.py.
        engine: of the test, one of ``tsm_det.engines.ENGINES``; a test with another engine is repeated.
        trained: the training was done elsewhere; then an existing test is not repeated.
        results: detections that are not in ``FOLDER/found.pkl``.
        trust: all steps load checkpoints of more than tensors and plain values, which may run any program.
    """

    def __init__(self, arm: ArmConfig, seed: int, folder: Path, tools: Path, engine: str = 'eager',
                 trained: bool = False, results: Path | None = None, trust: bool = False) -> None:
        self.arm, self.seed, self.folder, self.tools, self.engine = arm, seed, folder, tools, engine
        self.trained, self.results = trained, results or folder / 'found.pkl'
        self.flags = ('--trust-checkpoint',) if trust else ()  # of the tools
        self.failed: Path | None = None  # log of the failed step
        self.steps: dict[str, dict] = {}
        self._config = plain(arm.load(seed))
        if not (folder / 'run.json').is_file():
            return
        record = json.loads((folder / 'run.json').read_bytes())
        if not trained and (changed := differing_keys(record['config'], self._config)):
            raise InputError(f'{folder} was made with another config (different: {", ".join(changed[:5])}): give '
                             'another --out, or remove that folder')
        self.steps = record['steps']
        if not trained and 'test' in self.steps and f' --engine {engine} ' not in self.steps['test']['command']:
            print_log(f'{self} was tested with another engine than {engine}: it is tested again', 'current')
            del self.steps['test']

    def __str__(self) -> str:
        return f'{self.arm.name} seed {self.seed}'

    @property
    def next_step(self) -> str | None:
        """``'train'``, ``'test'``, or None when all is done or a step failed."""
        if self.failed:
            return None
        if not self.trained:
            return next((name for name in ('train', 'test') if name not in self.steps), None)
        return None if self.results.is_file() else 'test'

    @property
    def state(self) -> str:
        """``'finished'``, ``'failed'`` or ``'unfinished'``."""
        return 'failed' if self.failed else 'unfinished' if self.next_step else 'finished'

    def checkpoint(self) -> Path:
        """The last checkpoint, in this folder even if the training wrote another; raise InputError when missing."""
        path = self.folder / 'last_checkpoint'
        if path.is_file():
            path = self.folder / Path(path.read_text().strip()).name
        if not path.is_file():
            raise InputError(f'{path} is missing: give work dirs of finished trainings')
        return path

    def command(self) -> tuple[str, ...]:
        """The command of the next step, as typed in the folder that the comparison was started in."""
        if self.next_step == 'train':
            words = (self.arm.config, '--work-dir', str(self.folder), '--resume')
        else:
            words = (self.arm.config, str(self.checkpoint()), '--work-dir', str(self.folder / 'test'), '--metrics',
                     str(self.folder / 'metrics.json'), '--out', str(self.results), '--engine', self.engine)
        return ('python', str(self.tools / f'{self.next_step}.py'), *words, *self.flags, '--cfg-options',
                *self.arm.options, f'randomness.seed={self.seed}')

    def save(self, **step: dict) -> None:
        """Write ``run.json``, with a finished step (command, seconds, resumed) if one is given."""
        self.steps |= step
        write_json({'config': self._config, 'steps': self.steps}, self.folder / 'run.json', indent=2)

    def summary(self) -> dict:
        """Arm, seed, state, finished steps, next command, log of the failed step and metrics of the test."""
        metrics = self.folder / 'metrics.json'
        return {'arm': self.arm.name, 'seed': self.seed, 'state': self.state, 'steps': self.steps,
                'next': shlex.join(self.command()) if self.next_step else None,
                'log': str(self.failed) if self.failed else None, 'results': str(self.results),
                'metrics': json.loads(metrics.read_bytes()) if self.state == 'finished' and metrics.is_file() else None}


def read_arms(words: Sequence[Sequence[str]], shared: Sequence[str] = ()) -> list[ArmConfig]:
    """Read arms ``NAME CONFIG [KEY=VALUE ...]``; the ``shared`` options come before their own.

    Raises InputError when a name occurs twice or cannot name a folder, or a config is missing.
    """
    arms = []
    for name, *rest in words:
        if not rest or '=' in rest[0]:
            raise InputError(f'the arm {name} has no config: give NAME CONFIG [KEY=VALUE ...]')
        if not re.fullmatch(r'\w[\w.-]*', name) or name in {arm.name for arm in arms}:
            raise InputError(f'{name!r} cannot name an arm, as names become folders: use letters and digits, '
                             'each name once')
        arms.append(ArmConfig(name, rest[0], (*shared, *rest[1:])))
    return arms


def runs_of_arms(words: Sequence[Sequence[str]], seeds: Sequence[int], out: Path, tools: Path, engine: str,
                 options: Sequence[str] = (), trust: bool = False) -> list[Run]:
    """Runs in ``OUT/ARM/seedS``, seed by seed, of arms as :func:`read_arms` reads them.

    Raises InputError when an arm is wrong, a seed is negative, or a folder has a run with another config.
    """
    if min(seeds) < 0:
        raise InputError(f'--seeds has {min(seeds)} but numbers from 0 are needed')
    arms = read_arms(words, options)
    return [Run(arm, seed, out / arm.name / f'seed{seed}', tools, engine, trust=trust) for seed in sorted(set(seeds))
            for arm in arms]


def runs_of_work_dirs(folders: Sequence[str], tools: Path, engine: str, options: Sequence[str] = (),
                      trust: bool = False) -> list[Run]:
    """Runs trained elsewhere, in work dirs ``ARM/ANY_NAME`` of tools/train.py; those without detections are tested.

    Raises InputError when a config or a checkpoint is missing, two work dirs have the same arm and seed, or the configs
    of an arm differ.
    """
    runs: dict[tuple[str, int], Run] = {}
    for folder in map(Path, folders):
        dumps = sorted(folder.glob('*.py'))
        if len(dumps) != 1:
            raise InputError(f'{folder} has {len(dumps)} configs (*.py) but one is needed: give work dirs that '
                             'tools/train.py wrote')
        own = ArmConfig(folder.resolve().parent.name, str(dumps[0]), tuple(options))
        seed = load_config(own.config).get('randomness', {}).get('seed')
        if seed is None:
            raise InputError(f'{own.config} has no randomness.seed, by which runs are paired: add it')
        if twin := runs.get((own.name, seed)):
            raise InputError(f'{twin.folder} and {folder} have the same arm {own.name} (the parent folder) and seed '
                             f'{seed}: give one of them')
        arm = next((run.arm for run in runs.values() if run.arm.name == own.name), own)
        if changed := differing_keys(arm.load(seed), own.load(seed)):
            raise InputError(f'{arm.config} and {own.config} have the same parent folder, so the same arm, but another '
                             f'{changed[0]}: give each arm a folder of its own')
        run = runs[own.name, seed] = Run(arm, seed, folder, tools, engine, trained=True, trust=trust)
        if run.next_step:
            run.checkpoint()
    return list(runs.values())


def runs_of_results(words: Sequence[Sequence[str]], out: Path, options: Sequence[str] = ()) -> list[Run]:
    """Detections that tools/test.py --out wrote, ``NAME CONFIG [KEY=VALUE ...] FILE.pkl [FILE.pkl ...]`` per arm.

    The first files of all arms are compared as one seed, and so on. Raises InputError when a file, a name or a config
    is missing.
    """
    pickles, others = ([[word for word in arm if word.endswith(('.pkl', '.pickle')) == wanted] for arm in words]
                       for wanted in (True, False))
    for name, files in zip((arm[0] for arm in words), pickles, strict=True):
        if not files:
            raise InputError(f'--results {name} has no FILE.pkl: give --results NAME CONFIG FILE.pkl [FILE.pkl ...]')
        if lost := [file for file in files if not Path(file).is_file()]:
            raise InputError(f'the results {lost[0]} are missing: give files that tools/test.py --out wrote')
    return [Run(arm, place, out, out, trained=True, results=Path(file))
            for arm, files in zip(read_arms(others, options), pickles, strict=True) for place, file in enumerate(files)]


def differing_keys(one: Any, other: Any, prefix: str = '') -> list[str]:
    """Dotted keys, sorted, whose values differ between two configs; lists are compared whole, a tuple is a list."""
    one, other = plain(one), plain(other)
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return [] if one == other else [prefix.rstrip('.')]
    return [key for name in sorted(one.keys() | other.keys())
            for key in differing_keys(one.get(name), other.get(name), f'{prefix}{name}.')]


def plain(config: Any) -> Any:
    """A config as JSON values, without the keys of a single run; a resumed one without its ``load_from`` too."""
    if isinstance(config, Config):
        left_out = ('work_dir', 'launcher', 'resume', *(['load_from'] if config.get('resume') else []))
        config = {key: value for key, value in config.to_dict().items() if key not in left_out}
    return json.loads(json.dumps(config, default=str))
