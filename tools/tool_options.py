"""Options that several tools have. Standard library only, so that --help does not wait for torch and mmdet."""

from __future__ import annotations

import os
import re
import shlex
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

ENGINES = 'eager, fast, fast-bf16, compiled, compiled-bf16, openvino-int8'
DETECTORS = 'synthvid, synthvid-gate, thermal'
CONFIG_HELP = 'config file, which runs as a Python program, or the name of a config of tsm_det'


class Parser(ArgumentParser):
    """A parser that also completes words for a shell, by argcomplete."""

    def parse_args(self) -> Namespace:
        self._complete()
        return super().parse_args()

    def parse_intermixed_args(self) -> Namespace:
        self._complete()
        return super().parse_intermixed_args()

    def _complete(self) -> None:
        if '_ARGCOMPLETE' in os.environ:
            import argcomplete
            argcomplete.autocomplete(self)


def make_parser(example: str, description: str) -> Parser:
    """Make a parser whose help begins with a working command; tsm-det knows its configs by name, wherever it runs."""
    tool, words = example.split(' ', 1)
    if is_command():
        words = re.sub(r'configs/(\S+)\.py', r'\1', words)
    return Parser(usage=f'{program(f"tools/{tool}")} {words}', description=description)


def is_command() -> bool:
    """Whether tsm-det runs the tool."""
    return sys.argv[0].startswith('tsm-det ')


def program(tool: str) -> str:
    """What runs a tool: a command of tsm-det, or its file."""
    return sys.argv[0] if is_command() else f'python {tool}'


def this_command() -> str:
    """The whole command that is running, for a report."""
    return f'{program(shlex.quote(sys.argv[0]))} {shlex.join(sys.argv[1:])}'


def add_detector(parser: ArgumentParser) -> None:
    """Add CONFIG, CHECKPOINT and --trust-checkpoint."""
    add_names(parser)
    add_trust(parser)


def add_names(parser: ArgumentParser, others: str = '') -> None:
    """Add CONFIG and CHECKPOINT; ``others`` says what may stand in their place."""
    parser.add_argument('config', help=f'{CONFIG_HELP}; or, without CHECKPOINT, a detector that comes with its '
                        f'weights: {DETECTORS}{others}')
    parser.add_argument('checkpoint', nargs='?', help="checkpoint file, or 'none' for random weights")


def add_trust(parser: ArgumentParser) -> None:
    """Add --trust-checkpoint."""
    parser.add_argument('--trust-checkpoint', action='store_true', help='load files of more than tensors and '
                        'plain values, which may run any program')


def add_engine(parser: ArgumentParser) -> None:
    """Add --engine."""
    parser.add_argument('--engine', default='eager', help=f'one of {ENGINES} (default: eager); see docs/engines.md')


def add_average(parser: ArgumentParser) -> None:
    """Add --average-scores."""
    parser.add_argument('--average-scores', type=_positive, metavar='M', help='replace class scores by their means '
                        'over the last M frames along tracks of overlapping boxes (default: off)')


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f'it is {text} but must be at least 1')
    return int(text)


def add_device(parser: ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument('--device', default='cpu', help='cpu (default) or cuda:0')


def add_model_options(parser: ArgumentParser) -> None:
    """Add --trust-checkpoint, --device, --engine and --cfg-options."""
    for add in (add_trust, add_device, add_engine, add_cfg_options):
        add(parser)


def add_launcher(parser: ArgumentParser) -> None:
    """Add the options that job launchers set."""
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none',
                        help='job launcher (default: none)')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher (default: 0)')


def add_cfg_options(parser: ArgumentParser) -> None:
    """Add --cfg-options, which may be given several times."""
    parser.add_argument('--cfg-options', nargs='+', action='extend', default=[], metavar='KEY=VALUE',
                        help='override keys of the config, e.g. a.b=value')
