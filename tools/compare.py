"""Train several arms with several seeds, stream the evaluation, and write how they compare: table, plots, JSON.

Started again, it goes on where it was stopped; runs that are finished are not done again.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path

from tsm_det.cli import one_sentence_errors
from tsm_det.comparison.arms import read_arms
from tsm_det.comparison.comparison import Plan, compare
from tsm_det.comparison.evidence import VideoTable
from tsm_det.engines import ENGINES
from tsm_det.errors import InputError


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/compare.py --arm tsm configs/tsm_faster_rcnn_r18_synthvid.py '
              '--arm 2d configs/faster_rcnn_r18_synthvid.py --baseline 2d --seeds 0 1 2 --out work_dirs/compare '
              '[options]', description=__doc__)
    parser.add_argument('--arm', nargs='+', action='append', required=True, metavar=('NAME CONFIG', 'KEY=VALUE'),
                        help='an arm: its name, its config, keys that it overrides; once for each')
    parser.add_argument('--baseline', required=True, metavar='NAME', help='arm that the others are compared with')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], help='of training (default: 0 1 2)')
    parser.add_argument('--out', type=Path, required=True, help='folder for runs, table.md, results.json, plots')
    parser.add_argument('--jobs', type=int, help='runs side by side (default: as cores allow; 1 with CUDA)')
    parser.add_argument('--threads', type=int, help='threads of each run (default: the cores shared out)')
    parser.add_argument('--groups', metavar='CSV', help='a line a video: bootstrap over groups of videos, e.g. scenes')
    parser.add_argument('--video-column', default='clip', help="in it, the videos' names (default: clip)")
    parser.add_argument('--group-column', default='scene', help='in it, their groups (default: scene)')
    parser.add_argument('--by', nargs='+', default=[], metavar='COLUMN', help='in it, what else to report by')
    parser.add_argument('--draws', type=int, default=1000, help='of the bootstrap (default: 1000)')
    parser.add_argument('--engine', default='eager', help='that streams the tests and is timed: ' + ', '.join(ENGINES))
    parser.add_argument('--latency-frames', type=int, default=200, help='0 times nothing (default: 200)')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='override keys of all arms')
    return parser.parse_args()


@one_sentence_errors
def main() -> None:
    args, tools = parse_args(), Path(os.path.relpath(Path(__file__).parent))
    if args.by and not args.groups:
        raise InputError(f'--by {args.by[0]} is a column of a table of videos but none is given: give --groups CSV')
    videos = VideoTable(args.groups, args.video_column, args.group_column, tuple(args.by)) if args.groups else None
    print(compare(Plan(
        arms=read_arms(args.arm, args.cfg_options), baseline=args.baseline, seeds=sorted(set(args.seeds)),
        out=args.out, tools=tools, jobs=args.jobs, threads=args.threads, videos=videos, draws=args.draws,
        engine=args.engine, latency_frames=args.latency_frames, command=shlex.join(['python', *sys.argv]))))


if __name__ == '__main__':
    main()
