"""Time a detector and its 2D baseline, interleaved frame by frame; docs/benchmark.md explains the numbers."""

from argparse import Namespace

from command_line import run
from tool_options import CONFIG_HELP, add_model_options, make_parser, this_command


def parse_args() -> Namespace:
    parser = make_parser('benchmark.py configs/tsm_faster_rcnn_r50_vid.py --baseline configs/faster_rcnn_r50_vid.py '
                         '[options]', __doc__)
    add = parser.add_argument
    add('config', help=CONFIG_HELP)
    add('checkpoint', nargs='?', default='none', help="weights of all arms (default: 'none', random weights)")
    add('--baseline', required=True, help='config of the 2D baseline')
    add('--source', help='video, folder of images, camera or address to read frames from (default: random frames)')
    add('--size', nargs=2, type=int, metavar=('H', 'W'), help='size of random frames in px (default: the scale of the '
        "config's resizing, or 256 320)")
    add('--frames', type=int, default=50, help='timed calls per arm (default: 50)')
    add('--warmup', type=int, default=5, help='untimed calls per arm before them (default: 5)')
    add('--streams', type=int, metavar='N', help='time N streams, one frame of each per call; adds a table for 1, 2, '
        '4, ..., N')
    add('--vs-mmdet', action='store_true', help="time mmdet's inference_detector, always eager, as a third arm")
    add('--train', nargs='?', type=int, const=10, metavar='STEPS', help='also time training steps (default: 10)')
    add('--clip-length', type=int, default=8, metavar='T', help='frames per training clip (default: 8)')
    add('--proposals', type=int, default=300, metavar='N', help='limit per frame in all arms (default: 300)')
    add('--detections', type=int, default=100, metavar='N', help='limit per frame in all arms (default: 100)')
    add('--score-thr', type=float, default=0.0, help='lowest score of a detection (default: 0, so that all arms have '
        'the same number)')
    add('--threads', type=int, metavar='N', help='threads of torch and OpenCV (default: their own)')
    add('--json', help='JSON file for all numbers, including those of each call')
    add('--plot', help='PNG file for a plot of latencies and stages')
    add('--report', help='Markdown file for the printed report')
    add_model_options(parser)
    return parser.parse_intermixed_args()


def main(args: Namespace) -> None:
    from tsm_det.benchmark.benchmark import benchmark
    from tsm_det.benchmark.report import benchmark_page
    from tsm_det.benchmark.workload import BenchmarkOptions
    from tsm_det.config import parse_options

    options = BenchmarkOptions(**{**vars(args), 'cfg_options': parse_options(args.cfg_options)})
    print(benchmark_page(benchmark(options, this_command())))


if __name__ == '__main__':
    run(parse_args, main)
