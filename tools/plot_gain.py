"""Plot what arms gain over the baseline against how difficult the frames are, from results of tools/compare.py."""

from argparse import Namespace

from command_line import run
from tool_options import make_parser


def parse_args() -> Namespace:
    parser = make_parser('plot_gain.py --series thermal A/results.json B/results.json --series synthetic '
                         'C/results.json --out gain.png', __doc__)
    parser.add_argument('--series', nargs='+', action='append', required=True, metavar=('NAME', 'FILE'),
                        help='name of a series of points, and results.json of its comparisons; repeat for more')
    parser.add_argument('--subset', nargs='+', default=[], metavar='NAME', help='only these subsets of frames, such as '
                        'burst and degraded (default: all)')
    parser.add_argument('--arm', nargs='+', default=[], metavar='NAME', help='only these arms (default: all)')
    parser.add_argument('--out', required=True, help='PNG file to write')
    args = parser.parse_args()
    if any(len(words) < 2 for words in args.series):
        parser.error('--series needs a name and at least one file')
    return args


def main(args: Namespace) -> None:
    from tsm_det.comparison.gain_plot import draw_gain

    series = {}
    for name, *files in args.series:
        series.setdefault(name, []).extend(files)
    for point in draw_gain(series, args.out, args.subset, args.arm):
        interval = '' if point.low is None else f' [{point.low:+.3f}, {point.high:+.3f}]'
        print(f'{point.name}: {point.baseline_arm} {point.baseline:.3f}, gain {point.gain:+.3f}{interval}, '
              f'seeds: {point.seeds}')


if __name__ == '__main__':
    run(parse_args, main)
