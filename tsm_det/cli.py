"""What every command line shares: one sentence for bad input, a clean end on SIGTERM, and ``--cfg-options``."""

from __future__ import annotations

import argparse
import functools
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.config import DictAction

from tsm_det.errors import InputError


def one_sentence_errors(main: Callable[[], None]) -> Callable[[], None]:
    """Let a command line end with exit status 2 and one sentence on bad input, 130 on Ctrl-C, 143 on SIGTERM."""

    @functools.wraps(main)
    def guarded() -> None:
        try:
            with _terminable():
                main()
        except InputError as error:
            # Out of a worker process of a DataLoader the message comes with that process's traceback above it.
            sentence = str(error).strip().splitlines()[-1].removeprefix('tsm_det.errors.InputError: ')
            print(f'error: {sentence}', file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt as end:
            print('interrupted:', getattr(end, 'note', 'what was written so far is kept'), file=sys.stderr)
            sys.exit(128 + (signal.SIGTERM if end.args == (signal.SIGTERM,) else signal.SIGINT))

    return guarded


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM, which service managers send, end the block as Ctrl-C does; a process forked in it just ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    process = os.getpid()

    def end(number: int, _: object) -> None:
        if os.getpid() == process:
            raise KeyboardInterrupt(number)
        os._exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
