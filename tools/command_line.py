"""How every tool runs and ends. Standard library only, so that --help does not wait for torch and mmdet."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_OUTPUTS = ('out', 'json', 'mot', 'coco', 'csv', 'cvat', 'metrics', 'save_state', 'plot', 'report', 'show_dir',
            'work_dir')


def run(parse_args: Callable[[], Namespace], main: Callable[[Namespace], None]) -> None:
    """Run a tool. Exit status: 2 and one sentence for bad input, 130 for Ctrl-C, 143 for SIGTERM."""
    args = parse_args()
    try:
        _refuse_overwriting(args)
        with _sigterm_as_interrupt():
            main(args)
    except KeyboardInterrupt as end:
        print('interrupted:', getattr(end, 'note', 'what was written so far is kept'), file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if end.args == (signal.SIGTERM,) else signal.SIGINT))
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        print(f'error: {error.filename} is too long for the name of a file: shorten it', file=sys.stderr)
        sys.exit(2)
    except ImportError as error:
        if error.name != 'tsm_det':
            raise
        print(f'error: {error}', file=sys.stderr)  # tsm_det itself says how to install what it needs
        sys.exit(2)
    except ValueError as error:
        from tsm_det.errors import InputError
        if not isinstance(error, InputError):
            raise
        # A DataLoader's worker process puts its traceback above the message.
        sentence = str(error).strip().splitlines()[-1].removeprefix('tsm_det.errors.InputError: ')
        print(f'error: {sentence}', file=sys.stderr)
        sys.exit(2)


def _refuse_overwriting(args: Namespace) -> None:
    """Raise InputError when an output names an input; a run may write the state file that it resumes from."""
    from tsm_det.files import refuse_overwriting
    resumed = getattr(args, 'resume_state', None)
    given = [text for name, value in vars(args).items() if name not in _OUTPUTS for text in _texts(value)]
    values = [text.partition('=')[2] for text in given]  # of KEY=VALUE
    inputs = [*filter(os.path.exists, given), *filter(os.path.isfile, values)]
    refuse_overwriting([text for name in _OUTPUTS for text in _texts(getattr(args, name, None))
                        if name != 'save_state' or text != resumed], inputs)


def _texts(value: object) -> Iterator[str]:
    """All texts in an argument."""
    if isinstance(value, str | os.PathLike):
        yield str(value)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM, which service managers send, end the block like Ctrl-C. A process forked in the block just exits."""
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
