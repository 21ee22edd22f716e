"""Serve a local web page that runs the detector on a webcam or a video file."""

from argparse import Namespace
from pathlib import Path

from command_line import run
from tool_options import add_cfg_options, add_detector, add_device, add_engine, make_parser


def parse_args() -> Namespace:
    parser = make_parser('serve.py configs/tsm_faster_rcnn_r18_synthvid.py CHECKPOINT [options]', __doc__)
    add_detector(parser)
    parser.add_argument('--host', default='127.0.0.1',
                        help='address to listen on (default: 127.0.0.1, this machine only); 0.0.0.0 lets in everyone '
                             'on the network without a password; browsers allow a camera only on localhost or https')
    parser.add_argument('--port', type=int, default=8000, help='port to listen on; 0 picks a free one (default: 8000)')
    parser.add_argument('--score-thr', type=float, default=0.3, help='initial score threshold (default: 0.3)')
    parser.add_argument('--max-upload-mb', type=float, default=200, help='largest video file in MB (default: 200)')
    add_device(parser)
    add_engine(parser)
    add_cfg_options(parser)
    return parser.parse_intermixed_args()


def main(args: Namespace) -> None:
    from tsm_det.config import load_config, parse_options
    from tsm_det.published import detector_files
    from tsm_det.serving.app import serve
    from tsm_det.streams.online_detector import OnlineDetector

    path, checkpoint = detector_files(args.config, args.checkpoint)
    config = load_config(path, parse_options(args.cfg_options))
    detector = OnlineDetector.from_config(config, checkpoint, args.device, engine=args.engine,
                                          trust_checkpoint=args.trust_checkpoint)
    serve(detector, args.host, args.port, args.score_thr, args.max_upload_mb,
          detector.model.dataset_meta.get('value_range'),
          f'{Path(path).stem}, {Path(checkpoint).name if checkpoint else "random weights"}')


if __name__ == '__main__':
    run(parse_args, main)
