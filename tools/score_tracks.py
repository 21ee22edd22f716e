"""Score the tracks of a run of detect_video.py --track: HOTA, MOTA, IDF1."""

from argparse import Namespace

from command_line import run
from tool_options import make_parser


def parse_args() -> Namespace:
    parser = make_parser('score_tracks.py data/synthvid/val.json out.jsonl', __doc__)
    parser.add_argument('truth', help='CocoVID file of the videos')
    parser.add_argument('lines', help='the --json file of detect_video.py --track')
    parser.add_argument('--metrics', metavar='PATH', help='write the scores here as JSON')
    return parser.parse_args()


def main(args: Namespace) -> None:
    from tsm_det.evaluation.track_scores import track_scores
    from tsm_det.files import write_json
    from tsm_det.text_table import aligned_table

    scores = track_scores(args.truth, args.lines)
    print('\n'.join(aligned_table([(name, f'{score:.4g}') for name, score in scores.items()])))
    if args.metrics:
        write_json(scores, args.metrics)


if __name__ == '__main__':
    run(parse_args, main)
