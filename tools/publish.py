"""Publish a small model: write weights, class names and config to one file and list it in metafile.yml next to it."""

from argparse import Namespace

from command_line import run
from tool_options import add_cfg_options, add_trust, make_parser


def parse_args() -> Namespace:
    parser = make_parser('publish.py CHECKPOINT --config configs/tsm_faster_rcnn_r18_synthvid.py --metrics '
                         'metrics.json --out data/checkpoints/tsm_faster_rcnn_r18_synthvid.pth [--half]', __doc__)
    parser.add_argument('checkpoint', help='training checkpoint, or published file (to update its metrics)')
    parser.add_argument('--config', required=True, help='config of its training')
    parser.add_argument('--metrics', required=True, help='its file from tools/test.py --metrics')
    parser.add_argument('--out', required=True, help='FOLDER/NAME.pth; its hash is added to the name')
    parser.add_argument('--half', action='store_true', help='store half precision; loading converts it to single')
    add_trust(parser)
    add_cfg_options(parser)
    return parser.parse_args()


def main(args: Namespace) -> None:
    from tsm_det.config import load_config, parse_options
    from tsm_det.publishing import publish

    config = load_config(args.config, parse_options(args.cfg_options))
    print(publish(args.checkpoint, config, args.config, args.metrics, args.out, args.half,
                  args.trust_checkpoint))


if __name__ == '__main__':
    run(parse_args, main)
