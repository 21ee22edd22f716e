"""Options of a config as they are typed: ``KEY=VALUE`` words."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

from mmengine.config import DictAction

from tsm_det.errors import InputError


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Dotted keys and their values out of ``KEY=VALUE`` each, as mmengine's ``DictAction`` reads them.

    Raises:
        InputError: a word is no such pair.
    """
    if wrong := [word for word in words if not re.match(r'[^=\s-][^=\s]*=', word)]:
        raise InputError(f'{wrong[0]!r} is no option: give KEY=VALUE')
    parsed = argparse.Namespace()
    try:
        DictAction((), 'options')(None, parsed, words)
    except AssertionError as error:
        raise InputError(f'the options {" ".join(words)} cannot be read ({error}): mend the brackets') from error
    return parsed.options


class CfgOptions(argparse.Action):
    """For ``--cfg-options KEY=VALUE ...``, which may be given several times."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Sequence[str],
                 option_string: str | None = None) -> None:
        """Add to what earlier ones have set."""
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest, None) or {}), **parse_options(values)})
