"""Train a detector on clips."""

import os
from argparse import Namespace

from command_line import run
from tool_options import CONFIG_HELP, add_cfg_options, add_launcher, add_trust, make_parser


def parse_args() -> Namespace:
    parser = make_parser('train.py configs/tsm_faster_rcnn_r18_synthvid.py [options]', __doc__)
    parser.add_argument('config', help=CONFIG_HELP)
    parser.add_argument('--work-dir', help='folder for logs and checkpoints (default: work_dirs/CONFIG)')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision (bfloat16 on a CPU)')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate to the batch size')
    parser.add_argument('--resume', nargs='?', const=True, default=False,
                        help='continue from a checkpoint, or from the latest in the work dir')
    add_trust(parser)
    add_cfg_options(parser)
    add_launcher(parser)
    return parser.parse_args()


def main(args: Namespace) -> None:
    from tsm_det.config import load_config, parse_options
    from tsm_det.runner import train

    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    config = load_config(args.config, parse_options(args.cfg_options), args.work_dir, args.launcher)
    last = train(config, args.amp, args.auto_scale_lr, args.resume, args.trust_checkpoint)
    print(f'trained: {last}')


if __name__ == '__main__':
    run(parse_args, main)
