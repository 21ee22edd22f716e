"""Turn annotated video into CocoVID files, and split those."""

import argparse
from pkgutil import resolve_name

from tqdm import tqdm

from tsm_det.errors import one_sentence_errors


def flag(name: str, help: str, **options) -> tuple[str, dict]:
    return name, {'help': help, **options}


OUT = flag('--out', 'CocoVID file to write', required=True)
SEED = flag('--seed', 'another one draws otherwise (default: 0)', type=int)

# What to do: its library function, a line of help, the flags (named as the arguments), and arguments that are fixed.
COMMANDS = {
    'synthvid': ('tsm_det.datasets.synthetic_vid:make_synthetic_vid', 'make up a small data set', [
        flag('--out', 'folder to make', dest='root', required=True), SEED], {'progress': tqdm}),
    'csv-videos': ('tsm_det.datasets.csv_videos:convert_csv_videos', 'videos NAME.mp4, boxes in NAME.csv', [
        flag('folder', 'of NAME.mp4 and NAME.csv with the columns frame,label,x,y,width,height[,track]'), OUT,
        flag('--classes', 'categories in order (default: the labels found, sorted)', nargs='+'),
        flag('--max-gap', 'frames without a box that a linked track survives (default: 5)', type=int),
    ], {'progress': tqdm}),
    'split': ('tsm_det.datasets.split:split_file', 'hold out whole groups of videos of a CocoVID file', [
        flag('file', 'CocoVID file'), flag('--groups', 'CSV file with a line a video', required=True),
        flag('--group-column', 'its column with the group (default: scene)'),
        flag('--video-column', 'its column with the name of the video (default: clip)'),
        flag('--fraction', 'share of the frames to hold out (default: 0.2)', type=float), SEED,
        flag('--out', 'CocoVID files to write', nargs=2, required=True, metavar=('KEPT', 'HELD_OUT'))], {}),
}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/convert_dataset.py synthvid --out data/synthvid | COMMAND ...', description=__doc__)
    commands = parser.add_subparsers(
        title='what to do', required=True, metavar='COMMAND', prog='python tools/convert_dataset.py')
    for name, (function, help, flags, fixed) in COMMANDS.items():
        command = commands.add_parser(name, help=help, description=help, argument_default=argparse.SUPPRESS)
        command.set_defaults(function=function, **fixed)
        for option, settings in flags:
            command.add_argument(option, **settings)
    return parser.parse_args()


@one_sentence_errors
def main() -> None:
    arguments = vars(parse_args())
    report = resolve_name(arguments.pop('function'))(**arguments)
    print(report or f'made {arguments["root"]}')


if __name__ == '__main__':
    main()
