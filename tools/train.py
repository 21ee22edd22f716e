"""Train a detector on clips."""

import argparse
import os

from tsm_det.cli import CfgOptions, one_sentence_errors
from tsm_det.config import load_config
from tsm_det.runner import train


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/train.py configs/tsm_faster_rcnn_r18_synthvid.py [options]', description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints (default: work_dirs/CONFIG)')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision (needs CUDA)')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate to the batch size')
    parser.add_argument('--resume', nargs='?', const=True, default=False,
                        help='go on from a checkpoint, or from the latest of the work dir')
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, help='override keys: a.b=value ...')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')
    return parser.parse_args()


@one_sentence_errors
def main() -> None:
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    config = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    checkpoint = train(config, args.amp, args.auto_scale_lr, args.resume)
    print(f'trained: {checkpoint}')


if __name__ == '__main__':
    main()
