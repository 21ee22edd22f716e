"""Input that a person can mend: one sentence instead of a traceback."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable


class InputError(ValueError):
    """A file, a key or a flag is wrong; the message says what came, what was needed, what to do."""


def one_sentence_errors(main: Callable[[], None]) -> Callable[[], None]:
    """Let a command line end with exit status 2 and one sentence on bad input, 130 on Ctrl-C."""

    @functools.wraps(main)
    def guarded() -> None:
        try:
            main()
        except InputError as error:
            # Out of a worker process of a DataLoader the message comes with that process's traceback above it.
            sentence = str(error).strip().splitlines()[-1].removeprefix(f'{__name__}.InputError: ')
            print(f'error: {sentence}', file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            print('interrupted: what was written so far is kept', file=sys.stderr)
            sys.exit(130)

    return guarded
