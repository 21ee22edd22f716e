"""Write a config that trains on your own data: its classes, paths, frame size and gaps."""

from argparse import Namespace

from command_line import run
from tool_options import make_parser


def parse_args() -> Namespace:
    parser = make_parser('init_config.py birds.py --data data/birds/train.json --val data/birds/val.json '
                         '--images data/birds/videos', __doc__)
    parser.add_argument('config', help='config file to write; it must not exist yet')
    parser.add_argument('--data', required=True, metavar='FILE', help='CocoVID file to train on; tsm-det convert '
                        'makes one from other formats')
    parser.add_argument('--val', metavar='FILE', help='CocoVID file to validate and test on (default: that of --data, '
                        'whose scores are too high); tsm-det convert split holds one out')
    parser.add_argument('--images', nargs='+', metavar='DIR', help='folder that the file names are relative to, or one '
                        'for --data and one for --val (default: folder of the CocoVID file)')
    return parser.parse_args()


def main(args: Namespace) -> None:
    from tsm_det.datasets.own_config import write_config

    print(write_config(args.config, args.data, args.val, args.images))


if __name__ == '__main__':
    run(parse_args, main)
