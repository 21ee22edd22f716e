"""Time a detector beside its 2D baseline, interleaved frame by frame; docs/benchmark.md explains the figures."""

import argparse
import shlex
import sys

from tsm_det.benchmark.benchmark import benchmark
from tsm_det.benchmark.markdown import benchmark_page
from tsm_det.benchmark.options import Options
from tsm_det.cli import CfgOptions, one_sentence_errors
from tsm_det.engines import ENGINES


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/benchmark.py configs/tsm_faster_rcnn_r50_vid.py --baseline configs/faster_rcnn_r50_vid.py '
              '[options]', description=__doc__, argument_default=argparse.SUPPRESS,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('config', help='config file')
    add('checkpoint', nargs='?', default=Options.checkpoint, help="weights of all arms, or 'none' for random ones")
    add('--baseline', required=True, help='config of the 2D baseline')
    add('--source', help='frames of a video, a folder of images, a camera or an address, in place of random ones')
    add('--size', nargs=2, type=int, metavar=('H', 'W'), help='of random frames; unless given, the scale that the '
        'config resizes to, or 256 320')
    add('--frames', type=int, default=Options.frames, help='timed calls an arm')
    add('--warmup', type=int, default=Options.warmup, help='calls before them')
    add('--streams', type=int, metavar='N', help='one frame of each of N streams a call, and a table for 1, 2, 4 ... N')
    add('--engine', default=Options.engine, help=f'of tsm and 2d: {", ".join(ENGINES)}')
    add('--vs-mmdet', action='store_true', help="time mmdet's inference_detector, always eager, as a third arm")
    add('--train', nargs='?', type=int, const=10, metavar='STEPS', help='time training steps too (10 if no number)')
    add('--clip-length', type=int, default=Options.clip_length, metavar='T', help='frames of a training step')
    add('--proposals', type=int, default=Options.proposals, metavar='N', help='most of a frame, in all arms')
    add('--detections', type=int, default=Options.detections, metavar='N', help='most of a frame, in all arms')
    add('--score-thr', type=float, default=Options.score_thr, help='detections score more; with 0, as many in all arms')
    add('--device', default=Options.device, help='cpu or cuda:0')
    add('--threads', type=int, metavar='N', help='of torch and OpenCV')
    add('--json', help='file for all figures, those of each call too')
    add('--plot', help='PNG file for a picture of latencies and stages')
    add('--report', help='Markdown file for the page that is printed')
    add('--cfg-options', nargs='+', action=CfgOptions, help='override keys of both configs')
    return parser.parse_intermixed_args()


@one_sentence_errors
def main() -> None:
    options = Options(**vars(parse_args()))
    print(benchmark_page(benchmark(options, shlex.join(['python', *sys.argv]))))


if __name__ == '__main__':
    main()
