"""Publish the weights of a small model: weights, class names and config alone, listed in metafile.yml beside it."""

from argparse import Namespace

from command_line import add_cfg_options, make_parser, run


def parse_args() -> Namespace:
    parser = make_parser('publish.py CHECKPOINT --config configs/tsm_faster_rcnn_r18_synthvid.py --metrics '
                         'metrics.json --out data/checkpoints/tsm_faster_rcnn_r18_synthvid.pth [--half]', __doc__)
    parser.add_argument('checkpoint', help='of a training, or a published one, for example to list its own metrics')
    parser.add_argument('--config', required=True, help='config that it was trained with')
    parser.add_argument('--metrics', required=True, help='file that tools/test.py --metrics wrote for it')
    parser.add_argument('--out', required=True, help='FOLDER/NAME.pth; its hash is added to the name')
    parser.add_argument('--half', action='store_true', help='store half precision; it loads as single precision')
    add_cfg_options(parser)
    return parser.parse_args()


def main(args: Namespace) -> None:
    from tsm_det.config import load_config, parse_options
    from tsm_det.publishing import publish

    config = load_config(args.config, parse_options(args.cfg_options))
    print(publish(args.checkpoint, config, args.config, args.metrics, args.out, args.half))


if __name__ == '__main__':
    run(parse_args, main)
