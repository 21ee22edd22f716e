"""Convert annotated videos into CocoVID files, and check, split or subsample such files."""

import sys
from argparse import SUPPRESS, Namespace

from command_line import run
from converters import COMMANDS
from tool_options import make_parser, program


def parse_args() -> Namespace:
    parser = make_parser('convert_dataset.py synthvid --out data/synthvid | COMMAND ...', __doc__)
    commands = parser.add_subparsers(
        title='commands', required=True, metavar='COMMAND', prog=program('tools/convert_dataset.py'))
    for name, entry in COMMANDS.items():
        command = commands.add_parser(name, help=entry.help, description=entry.help, argument_default=SUPPRESS,
                                      usage=f'{program("tools/convert_dataset.py")} {name} {entry.example}')
        command.set_defaults(function=entry.function, shows_progress=entry.shows_progress)
        for flag in entry.flags:
            command.add_argument(flag.name, help=flag.help, **flag.options)
    return parser.parse_args()


def main(args: Namespace) -> None:
    from pkgutil import resolve_name

    from tqdm import tqdm

    from tsm_det.locks import locked

    arguments = vars(args)
    function = resolve_name(arguments.pop('function'))
    progress = {'progress': tqdm} if arguments.pop('shows_progress') else {}
    out = arguments.get('out', arguments.get('root', ()))
    with locked(*([out] if isinstance(out, str) else out)):
        report = function(**arguments, **progress)
    print(report or 'done')
    # Problems in the data also set the exit status.
    sys.exit(getattr(report, 'exit_status', 0))


if __name__ == '__main__':
    run(parse_args, main)
