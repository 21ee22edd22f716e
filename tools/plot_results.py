"""Draw precision-recall curves by class and by motion, and the misses of each video over time, as PNG files."""

from argparse import Namespace

from command_line import run
from tool_options import add_average, add_cfg_options, make_parser


def parse_args() -> Namespace:
    parser = make_parser('plot_results.py configs/tsm_faster_rcnn_r18_synthvid.py RESULTS.pkl --out DIR [options]',
                         __doc__)
    parser.add_argument('config', help='config file; its test_evaluator names the ground truth')
    parser.add_argument('results', help='file from tools/test.py --out; pickles of anything but tensors, arrays and '
                                        'plain values are refused')
    parser.add_argument('--out', required=True, help='folder for the plots')
    parser.add_argument('--score-thr', type=float, default=0.3,
                        help='lowest score of a detection in the strips (default: 0.3)')
    add_average(parser)
    add_cfg_options(parser)
    return parser.parse_args()


def main(args: Namespace) -> None:
    from tsm_det.config import load_config, parse_options
    from tsm_det.evaluation.result_plots import plot_results

    config = load_config(args.config, parse_options(args.cfg_options))
    for path in plot_results(config, args.results, args.out, args.score_thr, args.average_scores):
        print(path)


if __name__ == '__main__':
    run(parse_args, main)
