"""Write a detector as one .onnx file that runs without torch and mmdet, and runtime.py beside it, which runs it."""

import argparse
import sys

from tsm_det.cli import CfgOptions, one_sentence_errors
from tsm_det.config import load_config
from tsm_det.export.compare import compare_with_eager, example_stream
from tsm_det.export.onnx import check_output, write_onnx
from tsm_det.streams.online_detector import OnlineDetector


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/export_onnx.py configs/tsm_faster_rcnn_r18_synthvid.py CHECKPOINT --size 128 128 '
              '--out model.onnx --verify 5 [options]', description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help="checkpoint file, or 'none' for random weights")
    parser.add_argument('--size', nargs=2, type=int, required=True, metavar=('H', 'W'), help="size of the video's "
                        "frames; the network's input follows from it by the config's test pipeline")
    parser.add_argument('--out', required=True, help='file to write, model.onnx')
    parser.add_argument('--verify', type=int, default=0, metavar='N', help='compare with the detector over N frames of '
                        'one stream: boxes to 1e-3 px, scores to 1e-4; exit status 1 if they differ by more')
    parser.add_argument('--source', help='video or images of that size to verify on (default: a synthetic scene)')
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, help='override keys of the config, for example '
                        'model.test_cfg.rcnn.score_thr, which is fixed in the file')
    return parser.parse_args()


@one_sentence_errors
def main() -> None:
    args = parse_args()
    check_output(args.out)
    detector = OnlineDetector.from_config(
        load_config(args.config, args.cfg_options), None if args.checkpoint == 'none' else args.checkpoint)
    runtime = write_onnx(detector, tuple(args.size), args.out)
    print(f'{args.out} and {runtime}, which runs it')
    if args.verify:
        comparison = compare_with_eager(detector, args.out, example_stream(args.verify, tuple(args.size), args.source))
        print(comparison)
        sys.exit(0 if comparison.agrees else 1)


if __name__ == '__main__':
    main()
