"""Write the table of all detectors: parameters, GFLOPs, state, CPU time relative to 2D, published weights."""

from argparse import Namespace

from command_line import run
from tool_options import make_parser, this_command


def parse_args() -> Namespace:
    parser = make_parser('model_zoo.py [tsm_faster_rcnn_r18_synthvid ...] --out docs/model_zoo.md', __doc__)
    parser.add_argument('configs', nargs='*', help='names of temporal configs (default: all that have a 2D baseline)')
    parser.add_argument('--out', required=True, help='Markdown file to write')
    parser.add_argument('--metafile', default='data/checkpoints/metafile.yml',
                        help='file that lists published weights (default: data/checkpoints/metafile.yml)')
    parser.add_argument('--frames', type=int, default=10, help='timed frames per detector (default: 10)')
    parser.add_argument('--trained', nargs='+', default=[], metavar='FILE',
                        help='results.json of comparisons, for AP50, e.g. docs/results/retinanet_r18/results.json')
    return parser.parse_args()


def main(args: Namespace) -> None:
    from tqdm import tqdm

    from tsm_det.benchmark.model_zoo import model_zoo

    print(model_zoo(args.configs, args.metafile, args.out, this_command(), args.frames, args.trained, tqdm))


if __name__ == '__main__':
    run(parse_args, main)
