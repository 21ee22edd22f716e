"""Draw clips as the pipeline gives them, after augmentation and with their boxes, into PNG files."""

import argparse
from pathlib import Path

from tsm_det.cli import CfgOptions, one_sentence_errors
from tsm_det.config import load_config
from tsm_det.datasets.browsing import browse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/browse_dataset.py configs/tsm_faster_rcnn_r18_synthvid.py [--out DIR] [options]',
        description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--out', help='folder for the sheets (default: work_dirs/CONFIG/browse)')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train',
                        help='whose dataset, sampler and pipeline (default: train)')
    parser.add_argument('--clips', type=int, default=8, help='how many clips (default: 8)')
    parser.add_argument('--seed', type=int, help="of sampler and augmentation (default: the config's)")
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, help='override keys: a.b=value ...')
    return parser.parse_args()


@one_sentence_errors
def main() -> None:
    args = parse_args()
    config = load_config(args.config, args.cfg_options)
    for path in browse(config, args.out or Path(config.work_dir, 'browse'), args.split, args.clips, args.seed):
        print(path)


if __name__ == '__main__':
    main()
