"""Export a detector to one .onnx file that runs without torch and mmdet; write runtime.py, which runs it."""

import sys
from argparse import Namespace

from command_line import run
from tool_options import add_cfg_options, add_detector, make_parser


def parse_args() -> Namespace:
    parser = make_parser('export_onnx.py configs/tsm_faster_rcnn_r18_synthvid.py CHECKPOINT '
                         '--out model.onnx --verify 5 [--size 128 128]', __doc__)
    add_detector(parser)
    parser.add_argument('--size', nargs=2, type=int, metavar=('H', 'W'), help="for frames of this size in px only, "
                        "which the config's test pipeline resizes (default: for any size)")
    parser.add_argument('--out', required=True, help='.onnx file to write')
    parser.add_argument('--verify', type=int, default=0, metavar='N', help='compare with the detector over N frames of '
                        'one stream (default: 0): boxes to 1e-3 px, scores to 1e-4; exit status 1 if they differ by '
                        'more')
    parser.add_argument('--source', help='video or images to verify on (default: a synthetic scene; without --size, '
                        'one of each of two sizes)')
    add_cfg_options(parser)
    return parser.parse_intermixed_args()


def main(args: Namespace) -> None:
    from tsm_det.config import load_config, parse_options
    from tsm_det.export.onnx import check_output, write_onnx
    from tsm_det.export.parity import compare_with_eager, example_stream
    from tsm_det.published import detector_files
    from tsm_det.streams.online_detector import OnlineDetector

    check_output(args.out)
    path, checkpoint = detector_files(args.config, args.checkpoint)
    config = load_config(path, parse_options(args.cfg_options))
    detector = OnlineDetector.from_config(config, checkpoint,
                                          trust_checkpoint=args.trust_checkpoint)
    size = args.size and tuple(args.size)
    runtime = write_onnx(detector, size, args.out)
    print(f'{args.out} and {runtime}, which runs it')
    if args.verify:
        parity = compare_with_eager(detector, args.out, example_stream(args.verify, size, args.source))
        print(parity)
        sys.exit(0 if parity.agrees else 1)


if __name__ == '__main__':
    run(parse_args, main)
