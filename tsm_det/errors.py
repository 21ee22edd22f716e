"""Input that a person can mend: one sentence instead of a traceback. And an end that is asked for: nothing is lost."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """A file, a key or a flag is wrong; the message says what came, what was needed, what to do."""


def one_sentence_errors(main: Callable[[], None]) -> Callable[[], None]:
    """Let a command line end with exit status 2 and one sentence on bad input, 130 on Ctrl-C, 143 on SIGTERM."""

    @functools.wraps(main)
    def guarded() -> None:
        try:
            with _terminable():
                main()
        except InputError as error:
            # Out of a worker process of a DataLoader the message comes with that process's traceback above it.
            sentence = str(error).strip().splitlines()[-1].removeprefix(f'{__name__}.InputError: ')
            print(f'error: {sentence}', file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt as end:
            print('interrupted: what was written so far is kept', file=sys.stderr)
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
