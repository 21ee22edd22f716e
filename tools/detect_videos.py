"""Detect in many recordings, or in cameras, on the actors of a Ray cluster, or of this machine."""

from argparse import ArgumentTypeError, Namespace

from command_line import run
from tool_options import add_model_options, add_names, make_parser
from video_options import add_tracking


def parse_args() -> Namespace:
    parser = make_parser('detect_videos.py configs/tsm_faster_rcnn_r18_synthvid.py CHECKPOINT data/synthvid/val '
                         '--out work_dirs/fleet [options]', __doc__)
    add = parser.add_argument
    add_names(parser)
    add('recordings', nargs='*', metavar='VIDEO', help='video file, folder or pattern of videos, NAME.txt that lists '
        'them, or an address that fsspec reads (s3://bucket/folder)')
    add('--live', metavar='FILE', help='in place of recordings, a YAML file with a line NAME: ADDRESS for each camera')
    add('--out', metavar='DIR', required=True, help='folder of all outputs, the same for all machines; a second run '
        'with it goes on where the first stopped')
    add('--write', nargs='+', default=[], choices=['mp4', 'mot', 'coco', 'csv', 'cvat'], help='what to write of each '
        'recording beside JSON lines (default: nothing)')
    add('--ray', metavar='ADDRESS', help='cluster to run on, e.g. auto (default: one that this run starts)')
    add('--shard', type=_shard, default='1/1', metavar='I/N', help='only every N-th recording, from the I-th on '
        '(default: 1/1)')
    add('--actors', type=int, metavar='N', help='number of detectors (default: one per CPU, or per share of a GPU)')
    add('--gpus-per-actor', type=float, default=0, metavar='F', help='GPUs of each detector (default: 0)')
    add('--score-thr', type=float, default=0.3, help='lowest score to keep (default: 0.3)')
    add('--save-every', type=int, default=100, metavar='N', help='write the state every N frames of a recording; a '
        'killed detector loses no more (default: 100)')
    add('--max-gap', type=int, metavar='N', help='reset a stream when its frame id grows by more than N (default: '
        'never)')
    add_tracking(parser)
    add_model_options(parser)
    return parser.parse_intermixed_args()


def main(args: Namespace) -> None:
    from tsm_det.config import parse_options
    from tsm_det.fleet.recordings import Job
    from tsm_det.fleet.run import run_cameras, run_fleet
    from tsm_det.published import split_detector

    config, checkpoint, places = split_detector(
        [*filter(None, (args.config, args.checkpoint)), *args.recordings, *filter(None, [args.live])])
    job = Job(args.out, config, checkpoint, args.device, args.engine, parse_options(args.cfg_options),
              args.trust_checkpoint, args.track, args.score_thr, args.stride, args.fill, args.save_every, args.write,
              args.max_gap)
    run_all = run_cameras if args.live else run_fleet
    print(run_all(job, places, args.ray, args.shard, args.actors, args.gpus_per_actor))


def _shard(text: str) -> tuple[int, int]:
    part, _, parts = text.partition('/')
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise ArgumentTypeError(f'it is {text} but must be I/N, with I from 1 to N')
    return int(part), int(parts)


if __name__ == '__main__':
    run(parse_args, main)
