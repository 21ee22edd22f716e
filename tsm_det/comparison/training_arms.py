"""The arms of a comparison: their configs, and the keys in which these differ."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from mmengine.config import Config

from tsm_det.config import load_config, parse_options
from tsm_det.errors import InputError

_PLACES = {'work_dir', 'launcher', 'resume'}  # keys that a run may have its own values of


class ArmConfig(NamedTuple):
    """A name, a config file, and its overrides, ``KEY=VALUE`` each."""

    name: str
    config: str
    options: tuple[str, ...] = ()

    def load(self, seed: int) -> Config:
        """The config of one training.

        Raises:
            InputError: it cannot be read, or an option is not KEY=VALUE.
        """
        return load_config(self.config, parse_options((*self.options, f'randomness.seed={seed}')))


def read_arms(words: Sequence[Sequence[str]], shared: Sequence[str] = ()) -> list[ArmConfig]:
    """Arms out of ``NAME CONFIG [KEY=VALUE ...]`` each; the ``shared`` options come before their own.

    Raises:
        InputError: a name cannot be a folder's, or is there twice, or a config is missing.
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
        left_out = _PLACES | ({'load_from'} if config.get('resume') else set())
        config = {key: value for key, value in config.to_dict().items() if key not in left_out}
    return json.loads(json.dumps(config, default=str))
