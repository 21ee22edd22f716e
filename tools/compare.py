"""Compare arms (configs) over seeds: train, test frame by frame, and write a table, plots and JSON.

Run the same command again to continue; it skips finished steps.
"""

import os
from argparse import Namespace
from pathlib import Path

from command_line import run
from tool_options import add_cfg_options, add_engine, add_trust, make_parser, this_command


def parse_args() -> Namespace:
    parser = make_parser(
        'compare.py --arm tsm configs/tsm_faster_rcnn_r18_synthvid.py --arm 2d configs/faster_rcnn_r18_synthvid.py '
        '--baseline 2d --seeds 0 1 2 --out work_dirs/compare [options]', __doc__)
    add, arms = parser.add_argument, parser.add_mutually_exclusive_group(required=True)
    arms.add_argument('--arm', nargs='+', action='append', metavar=('NAME CONFIG', 'KEY=VALUE'),
                      help='train an arm: its name, its config, config keys to override; give once per arm')
    arms.add_argument('--from', nargs='+', dest='work_dirs', metavar='DIR',
                      help='compare work dirs ARM/ANY_NAME that were trained elsewhere; tests the untested ones')
    arms.add_argument('--results', nargs='+', action='append', metavar=('NAME CONFIG', 'KEY=VALUE ... FILE.pkl'),
                      help='compare detections of tools/test.py --out, one file per seed; give once per arm')
    add('--baseline', required=True, metavar='NAME', help='arm to compare the others with')
    add('--seeds', nargs='+', type=int, default=[0, 1, 2], help='seeds for --arm (default: 0 1 2)')
    add('--out', type=Path, required=True, help='folder for runs, table.md, results.json, plots')
    add('--jobs', type=int, help='number of parallel runs (default: as cores allow; 1 with CUDA)')
    add('--threads', type=int, help='threads per run (default: the cores divided by --jobs)')
    add('--groups', metavar='CSV', help='file with one row per video: bootstrap over groups of videos')
    add('--video-column', default='clip', help='column of --groups with the names of videos (default: clip)')
    add('--group-column', default='scene', help='column of --groups with their groups (default: scene)')
    add('--by', nargs='+', default=[], metavar='COLUMN', help='columns of --groups to break AP50 down by')
    add('--draws', type=int, default=1000, help='bootstrap draws (default: 1000)')
    add('--latency-frames', type=int, default=200, help='timed frames per arm (default: 200; 0: none)')
    for add_option in (add_engine, add_trust, add_cfg_options):
        add_option(parser)
    args = parser.parse_args()
    if args.by and not args.groups:
        parser.error(f'--by {args.by[0]} is a column of --groups CSV, which is not given: give both')
    return args


def main(args: Namespace) -> None:
    from tsm_det.comparison.comparison import compare
    from tsm_det.comparison.runs import runs_of_arms, runs_of_results, runs_of_work_dirs
    from tsm_det.comparison.summary import VideoTable

    how = (Path(os.path.relpath(Path(__file__).parent)), args.engine, args.cfg_options, args.trust_checkpoint)
    runs = (runs_of_arms(args.arm, args.seeds, args.out, *how) if args.arm else runs_of_work_dirs(args.work_dirs, *how)
            if args.work_dirs else runs_of_results(args.results, args.out, args.cfg_options))
    videos = VideoTable(args.groups, args.video_column, args.group_column, tuple(args.by)) if args.groups else None
    print(compare(runs, args.baseline, args.out, args.jobs, args.threads, videos, args.draws, args.latency_frames,
                  this_command()))


if __name__ == '__main__':
    run(parse_args, main)
