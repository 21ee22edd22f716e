"""Open a local web page that shows the detector at work on a webcam or a video file."""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/serve.py configs/tsm_faster_rcnn_r18_synthvid.py CHECKPOINT [options]', description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help="checkpoint file, or 'none' for random weights")
    parser.add_argument('--host', default='127.0.0.1',
                        help='address to listen at (default: 127.0.0.1, this machine only); 0.0.0.0 admits everyone '
                             'who can reach it, without a password; browsers allow a camera only on localhost or https')
    parser.add_argument('--port', type=int, default=8000, help='port to listen at, 0 for a free one (default: 8000)')
    parser.add_argument('--device', default='cpu', help='cpu (default) or cuda:0')
    parser.add_argument('--engine', default='eager',
                        help='eager (default), fast, fast-bf16 or compiled: see docs/engines.md')
    parser.add_argument('--score-thr', type=float, default=0.3, help='initial score threshold (default: 0.3)')
    parser.add_argument('--max-upload-mb', type=float, default=200, help='largest video file (default: 200)')
    parser.add_argument('--cfg-options', nargs='+', action='extend', default=[], metavar='KEY=VALUE',
                        help='override keys of the config')
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    # Imported after the arguments are parsed, so that --help answers at once.
    from tsm_det.cli import one_sentence_errors, parse_options
    from tsm_det.config import load_config
    from tsm_det.serving.app import serve
    from tsm_det.streams.online_detector import OnlineDetector

    @one_sentence_errors
    def run() -> None:
        config = load_config(args.config, parse_options(args.cfg_options))
        checkpoint = None if args.checkpoint == 'none' else args.checkpoint
        detector = OnlineDetector.from_config(config, checkpoint, args.device, engine=args.engine)
        serve(detector, args.host, args.port, args.score_thr, args.max_upload_mb)
    run()


if __name__ == '__main__':
    main(parse_args())
