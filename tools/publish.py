"""Publish the weights of a small model: weights, class names and config alone, listed in metafile.yml beside it."""

import argparse

from tsm_det.cli import CfgOptions, one_sentence_errors
from tsm_det.config import load_config
from tsm_det.publishing import publish


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/publish.py CHECKPOINT --config configs/tsm_faster_rcnn_r18_synthvid.py '
              '--metrics metrics.json --out data/checkpoints/tsm_faster_rcnn_r18_synthvid.pth [--half]',
        description=__doc__)
    parser.add_argument('checkpoint', help='of a training, or a published one, e.g. to list its own metrics')
    parser.add_argument('--config', required=True, help='config that it was trained with')
    parser.add_argument('--metrics', required=True, help='what tools/test.py --metrics wrote of it')
    parser.add_argument('--out', required=True, help='FOLDER/NAME.pth; its hash is added to the name')
    parser.add_argument('--half', action='store_true', help='in half precision; loading gives single precision back')
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, help='override keys: a.b=value ...')
    return parser.parse_args()


@one_sentence_errors
def main() -> None:
    args = parse_args()
    config = load_config(args.config, args.cfg_options)
    print(publish(args.checkpoint, config, args.config, args.metrics, args.out, args.half))


if __name__ == '__main__':
    main()
