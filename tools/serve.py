"""Open a local web page that shows the detector at work on a webcam or a video file."""

import argparse

from tsm_det.cli import CfgOptions, one_sentence_errors
from tsm_det.config import load_config
from tsm_det.engines import ENGINES
from tsm_det.serving.limits import Limits
from tsm_det.serving.server import serve


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/serve.py configs/tsm_faster_rcnn_r18_synthvid.py CHECKPOINT [options]', description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help="checkpoint file, or 'none' for random weights")
    parser.add_argument('--host', default='127.0.0.1',
                        help='address or name to listen at (default: 127.0.0.1, this machine alone); 0.0.0.0 lets in '
                             'everybody who can reach it, without a password')
    parser.add_argument('--name', help='name that visitors call it by, where a reverse proxy stands in front')
    parser.add_argument('--port', type=int, default=8000, help='port to listen at, 0 for a free one (default: 8000)')
    parser.add_argument('--device', default='cpu', help='cpu (default) or cuda:0')
    parser.add_argument('--engine', default='eager', help=f'{", ".join(ENGINES)}: see docs/engines.md')
    parser.add_argument('--score-thr', type=float, default=0.3, help='where the threshold stands at first (0.3)')
    parser.add_argument('--max-upload-mb', type=float, default=200, help='largest video file taken (default: 200)')
    parser.add_argument('--max-visitors', type=int, default=4, help='most pages that run at once (default: 4)')
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, help='override keys of the config')
    return parser.parse_args()


@one_sentence_errors
def main() -> None:
    args = parse_args()
    serve(load_config(args.config, args.cfg_options), None if args.checkpoint == 'none' else args.checkpoint,
          args.device, args.host, args.port, args.score_thr,
          Limits(args.max_visitors, args.max_upload_mb * 1e6), args.engine, args.name)


if __name__ == '__main__':
    main()
