"""Time a detector beside its 2D baseline, interleaved frame by frame in one run."""

import argparse
import shlex
import sys

from mmengine.config import DictAction

from tsm_det.benchmark.latency import compare_latency
from tsm_det.config import load_config
from tsm_det.errors import one_sentence_errors
from tsm_det.json_file import write_json


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/benchmark.py configs/tsm_faster_rcnn_r50_vid.py '
              '--baseline configs/faster_rcnn_r50_vid.py [options]', description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', nargs='?', default='none',
                        help="weights for both arms, or 'none' for the same random ones (default)")
    parser.add_argument('--baseline', required=True, help='config of the 2D baseline')
    parser.add_argument('--size', nargs=2, type=int, metavar=('H', 'W'),
                        help='source frames (default: the scale that the config resizes to, else 256 320)')
    parser.add_argument('--frames', type=int, default=50, help='timed frames an arm (default: 50)')
    parser.add_argument('--warmup', type=int, default=5, help='frames before them (default: 5)')
    parser.add_argument('--device', default='cpu', help='cpu (default) or cuda:0')
    parser.add_argument('--json', help='file for the figures')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='override keys of both configs')
    return parser.parse_args()


@one_sentence_errors
def main() -> None:
    args = parse_args()
    arms = {name: load_config(path, args.cfg_options) for name, path in (('tsm', args.config), ('2d', args.baseline))}
    checkpoint = None if args.checkpoint == 'none' else args.checkpoint
    report = compare_latency(
        arms, checkpoint, tuple(args.size) if args.size else None, args.frames, args.warmup, args.device)
    for arm in report['arms']:
        print('{name:>4}  p50 {p50_ms:8.1f} ms  p95 {p95_ms:8.1f} ms  {fps:6.1f} fps  state {state_bytes:,} bytes'
              .format(**arm))
    print('ratio {median:.3f} (95 % interval {low:.3f} to {high:.3f})'.format(**report['ratio']))
    if args.json:
        write_json({'command': shlex.join(['python', *sys.argv]), **report}, args.json, indent=2)


if __name__ == '__main__':
    main()
