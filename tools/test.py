"""Stream the test videos frame by frame through a detector and score every frame."""

import argparse
import os

from tsm_det.cli import CfgOptions, one_sentence_errors
from tsm_det.config import load_config
from tsm_det.engines import ENGINES
from tsm_det.errors import InputError
from tsm_det.runner import test


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/test.py configs/tsm_faster_rcnn_r18_synthvid.py CHECKPOINT --metrics metrics.json '
              '[options]', description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help="checkpoint file, or 'none' for random weights")
    parser.add_argument('--work-dir', help='folder for logs (default: work_dirs/CONFIG)')
    parser.add_argument('--out', help='.pkl file for the detections of all frames')
    parser.add_argument('--show-dir', help='folder for all frames with their detections drawn in')
    parser.add_argument('--metrics', help='JSON file for all metrics')
    parser.add_argument('--engine', default='eager', help=f'{", ".join(ENGINES)}: see docs/engines.md')
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, help='override keys: a.b=value ...')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--tta', action='store_true', help='refused: a stream has one view of each frame')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by the launcher')
    return parser.parse_args()


@one_sentence_errors
def main() -> None:
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if args.tta:
        raise InputError('--tta was given but a stream has one view of each frame: test without it')
    config = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    checkpoint = None if args.checkpoint == 'none' else args.checkpoint
    test(config, checkpoint, args.out, args.show_dir, args.metrics, args.engine)


if __name__ == '__main__':
    main()
