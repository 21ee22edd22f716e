"""Turn annotated video into CocoVID files, check and split those."""

import argparse
import sys
from pkgutil import resolve_name

from tsm_det.cli import one_sentence_errors
from tsm_det.cocovid.convert.commands import COMMANDS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/convert_dataset.py synthvid --out data/synthvid | COMMAND ...', description=__doc__)
    commands = parser.add_subparsers(
        title='what to do', required=True, metavar='COMMAND', prog='python tools/convert_dataset.py')
    for name, entry in COMMANDS.items():
        command = commands.add_parser(
            name, help=entry.help, description=entry.help, argument_default=argparse.SUPPRESS)
        command.set_defaults(function=entry.function, **entry.fixed)
        for flag in entry.flags:
            command.add_argument(flag.name, help=flag.help, **flag.options)
    return parser.parse_args()


@one_sentence_errors
def main() -> None:
    arguments = vars(parse_args())
    report = resolve_name(arguments.pop('function'))(**arguments)
    print(report or 'done')
    # A report that lists what is wrong with the data says so in the exit status too.
    sys.exit(getattr(report, 'exit_status', 0))


if __name__ == '__main__':
    main()
