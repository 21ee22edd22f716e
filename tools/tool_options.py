"""Options that several tools have. Standard library only, so that --help does not wait for torch and mmdet."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError

ENGINES = 'eager, fast, fast-bf16, compiled, compiled-bf16, openvino-int8'


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
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')


def add_cfg_options(parser: ArgumentParser) -> None:
    """Add --cfg-options, which may be given several times."""
    parser.add_argument('--cfg-options', nargs='+', action='extend', default=[], metavar='KEY=VALUE',
                        help='override keys of the config, e.g. a.b=value')


def path_of(checkpoint: str) -> str | None:
    """Return the path, or None for 'none'."""
    return None if checkpoint == 'none' else checkpoint
