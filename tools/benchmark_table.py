"""Write one table of many benchmarks, from the JSON files of tools/benchmark.py."""

from argparse import Namespace

from command_line import run
from tool_options import make_parser, this_command


def parse_args() -> Namespace:
    parser = make_parser('benchmark_table.py b1.json b2.json --out docs/speed.md', __doc__)
    parser.add_argument('results', nargs='+', metavar='FILE', help='files of tools/benchmark.py --json, one per row')
    parser.add_argument('--out', required=True, help='Markdown file to write')
    return parser.parse_args()


def main(args: Namespace) -> None:
    from tsm_det.benchmark.benchmark_table import benchmark_table

    print(benchmark_table(args.results, args.out, this_command()))


if __name__ == '__main__':
    run(parse_args, main)
