"""Stream the test videos frame by frame through a detector and score every frame."""

import os
from argparse import Namespace
from functools import partial

from command_line import run
from tool_options import add_average, add_cfg_options, add_detector, add_engine, add_launcher, make_parser


def parse_args() -> Namespace:
    parser = make_parser(
        'test.py configs/tsm_faster_rcnn_r18_synthvid.py CHECKPOINT --metrics metrics.json [options]', __doc__)
    add_detector(parser)
    parser.add_argument('--work-dir', help='folder for logs (default: work_dirs/CONFIG)')
    parser.add_argument('--out', help='.pkl file for the detections of all frames')
    parser.add_argument('--show-dir', help='folder for all frames with their detections drawn')
    parser.add_argument('--metrics', help='JSON file for all metrics')
    add_average(parser)
    parser.add_argument('--tta', action='store_true', help='not supported: a stream has one view of each frame')
    parser.add_argument('--ray', metavar='ADDRESS', help='spread the videos over the detectors of this Ray '
                        "cluster, e.g. auto; 'local' starts one on this machine")
    parser.add_argument('--actors', type=int, metavar='N', help='number of detectors with --ray (default: one per '
                        'CPU, or per share of a GPU)')
    parser.add_argument('--gpus-per-actor', type=float, default=0, metavar='F', help='GPUs of each detector with --ray '
                        '(default: 0)')
    add_engine(parser)
    add_cfg_options(parser)
    add_launcher(parser)
    return parser.parse_intermixed_args()


def main(args: Namespace) -> None:
    from tsm_det.config import load_config, parse_options
    from tsm_det.errors import InputError
    from tsm_det.published import detector_files
    from tsm_det.ray_testing import test_on_ray
    from tsm_det.runner import test, test_here

    if args.tta:
        raise InputError('--tta was given but a stream has one view of each frame: test without it')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    path, checkpoint = detector_files(args.config, args.checkpoint)
    config = load_config(path, parse_options(args.cfg_options), args.work_dir, args.launcher)
    run = partial(test_on_ray, address=args.ray, actors=args.actors,
                  gpus_per_actor=args.gpus_per_actor) if args.ray else test_here
    test(config, checkpoint, args.out, args.show_dir, args.metrics, args.engine,
         args.trust_checkpoint, args.average_scores, run)


if __name__ == '__main__':
    run(parse_args, main)
