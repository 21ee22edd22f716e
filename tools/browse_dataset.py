"""Draw the clips of a dataset, after augmentation and with their boxes, into PNG files."""

from argparse import Namespace
from pathlib import Path

from command_line import run
from tool_options import CONFIG_HELP, add_cfg_options, add_trust, make_parser


def parse_args() -> Namespace:
    parser = make_parser('browse_dataset.py configs/tsm_faster_rcnn_r18_synthvid.py [--out DIR] [options]', __doc__)
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('--out', help='folder for the contact sheets (default: work_dirs/CONFIG/browse)')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train',
                        help='split whose dataset, sampler and pipeline to use (default: train)')
    parser.add_argument('--clips', type=int, default=8, help='number of clips (default: 8)')
    parser.add_argument('--seed', type=int, help="random seed of sampler and augmentation (default: the config's)")
    add_trust(parser)
    add_cfg_options(parser)
    return parser.parse_args()


def main(args: Namespace) -> None:
    from tsm_det.config import load_config, parse_options
    from tsm_det.datasets.browsing import browse

    config = load_config(args.config, parse_options(args.cfg_options))
    for path in browse(config, args.out or Path(config.work_dir, 'browse'), args.split, args.clips, args.seed,
                       args.trust_checkpoint):
        print(path)


if __name__ == '__main__':
    run(parse_args, main)
