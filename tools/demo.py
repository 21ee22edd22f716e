"""Make a synthetic video, detect in it with the published detector synthvid-gate, and draw the detections."""

from argparse import Namespace

from command_line import run
from tool_options import make_parser


def parse_args() -> Namespace:
    parser = make_parser('demo.py [--out DIR] [--seed N]', __doc__)
    parser.add_argument('--out', default='tsm_det_demo', metavar='DIR',
                        help='folder for the video, detections.mp4 and detections.jsonl (default: tsm_det_demo)')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='random seed of the video (default: 0)')
    return parser.parse_args()


def main(args: Namespace) -> None:
    from tsm_det.streams.demo import run_demo

    print(run_demo(args.out, args.seed))


if __name__ == '__main__':
    run(parse_args, main)
