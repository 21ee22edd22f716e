"""Draw the detections of two detectors on the same video into one animated GIF."""

from argparse import Namespace

from command_line import run
from tool_options import add_trust, make_parser


def parse_args() -> Namespace:
    parser = make_parser('side_by_side.py data/synthvid/val/000.mp4 --detector 2D CONFIG CHECKPOINT '
                         '--detector shift CONFIG CHECKPOINT --out picture.gif [options]', __doc__)
    parser.add_argument('video', help='video file, or folder of images')
    parser.add_argument('--detector', nargs=3, action='append', required=True, metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
                        help='a detector; give once per detector, from left to right')
    parser.add_argument('--out', required=True, help='.gif file to write')
    parser.add_argument('--first', type=int, default=0, help='first frame to show (default: 0)')
    parser.add_argument('--frames', type=int, default=32, help='number of frames to show (default: 32)')
    parser.add_argument('--score-thr', type=float, default=0.3, help='lowest score to draw (default: 0.3)')
    parser.add_argument('--fps', type=float, default=5, help='frames per second of the GIF (default: 5)')
    parser.add_argument('--height', type=int, default=256, help='height of each frame in px (default: 256)')
    add_trust(parser)
    return parser.parse_args()


def main(args: Namespace) -> None:
    from tsm_det.comparison.side_by_side import write_side_by_side
    from tsm_det.published import detector_files
    from tsm_det.streams.online_detector import OnlineDetector
    from tsm_det.video.sources import in_levels, open_source

    detectors = [OnlineDetector.from_config(*detector_files(*files), trust_checkpoint=args.trust_checkpoint)
                 for _, *files in args.detector]
    source = in_levels(open_source(args.video), detectors[0].model.dataset_meta.get('value_range'))
    write_side_by_side(detectors, [name for name, *_ in args.detector], source, args.out,
                       range(args.first, args.first + args.frames), args.score_thr, args.fps, args.height)
    print(args.out)


if __name__ == '__main__':
    run(parse_args, main)
