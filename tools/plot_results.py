"""Draw precision-recall curves by class and by motion, and what was missed in each video over time, as PNG files."""

import argparse

from tsm_det.cli import CfgOptions, one_sentence_errors
from tsm_det.config import load_config
from tsm_det.evaluation.result_plots import plot_results


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/plot_results.py configs/tsm_faster_rcnn_r18_synthvid.py RESULTS.pkl --out DIR [options]',
        description=__doc__)
    parser.add_argument('config', help='config file; its test_evaluator names the truth')
    parser.add_argument('results', help='what tools/test.py --out wrote; a pickle that asks for anything but tensors, '
                                        'arrays and plain values is refused')
    parser.add_argument('--out', required=True, help='folder for the pictures')
    parser.add_argument('--score-thr', type=float, default=0.3,
                        help='in the strips, detections count from this score (default: 0.3)')
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, help='override keys: a.b=value ...')
    return parser.parse_args()


@one_sentence_errors
def main() -> None:
    args = parse_args()
    for path in plot_results(load_config(args.config, args.cfg_options), args.results, args.out, args.score_thr):
        print(path)


if __name__ == '__main__':
    main()
