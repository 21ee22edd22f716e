"""Options and exit status of all tools. Standard library only, so that --help does not wait for torch and mmdet."""

from __future__ import annotations

import os
import signal
import sys
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_OUTPUTS = ('out', 'json', 'metrics', 'save_state', 'plot', 'report', 'show_dir', 'work_dir')
ENGINES = 'eager, fast, fast-bf16, compiled, compiled-bf16'


def make_parser(example: str, description: str) -> ArgumentParser:
    """Make a parser whose help begins with a working command."""
    return ArgumentParser(usage=f'python tools/{example}', description=description)


def add_detector(parser: ArgumentParser) -> None:
    """Add CONFIG, CHECKPOINT and --trust-checkpoint."""
    parser.add_argument('config', help='config file; it runs as a Python program')
    parser.add_argument('checkpoint', help="checkpoint file, or 'none' for random weights")
    add_trust(parser)


def add_trust(parser: ArgumentParser) -> None:
    """Add --trust-checkpoint."""
    parser.add_argument('--trust-checkpoint', action='store_true', help='load files of more than tensors and '
                        'plain values, which may run any program')


def add_engine(parser: ArgumentParser) -> None:
    """Add --engine."""
    parser.add_argument('--engine', default='eager', help=f'one of {ENGINES} (default: eager); see docs/engines.md')


def add_device(parser: ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument('--device', default='cpu', help='cpu (default) or cuda:0')


def add_live_sources(parser: ArgumentParser) -> None:
    """Add the options of cameras and network streams."""
    add = parser.add_argument
    add('--every-frame', action='store_true', help='drop no frame of a live source; detection may fall behind')
    add('--stall-limit', type=float, default=10, metavar='S', help='stop a live source after S seconds without a '
        'frame (default: 10)')
    add('--rtsp-transport', choices=['tcp', 'udp'], default='tcp', help='transport of rtsp (default: tcp)')
    add('--webcam-size', type=int, nargs=2, metavar=('W', 'H'), help='size of webcam frames in px')
    add('--webcam-fps', type=float, metavar='F', help='frames per second of a webcam')


def add_model_options(parser: ArgumentParser) -> None:
    """Add --trust-checkpoint, --device, --engine and --cfg-options."""
    for add in (add_trust, add_device, add_engine, add_cfg_options):
        add(parser)


def add_state_files(parser: ArgumentParser) -> None:
    """Add the options that save a run's state and resume from it."""
    add = parser.add_argument
    add('--save-state', metavar='PATH', help='write the states of all streams here, also during the run')
    add('--save-every', type=int, default=100, metavar='N', help='write --save-state every N frames of each source '
        '(default: 100)')
    add('--resume-state', metavar='PATH', help='resume from a --save-state file; --json is cut there and continued')


def add_encoding(parser: ArgumentParser) -> None:
    """Add the options of video encoders."""
    parser.add_argument('--encoder', default='libx264', help="FFmpeg's encoder of --out, e.g. h264_nvenc (default: "
                        'libx264)')
    parser.add_argument('--preset', help="preset of the encoder, ultrafast to veryslow for libx264 (default: "
                        "superfast, or the encoder's own)")


def add_launcher(parser: ArgumentParser) -> None:
    """Add the options that job launchers set."""
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')


def add_cfg_options(parser: ArgumentParser) -> None:
    """Add --cfg-options, which may be given several times."""
    parser.add_argument('--cfg-options', nargs='+', action='extend', default=[], metavar='KEY=VALUE',
                        help='override keys of the config, e.g. a.b=value')


def path_of(checkpoint: str) -> str | None:
    """Return the path, or None for 'none'."""
    return None if checkpoint == 'none' else checkpoint


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
