"""Detect objects in a video or a folder of images, frame by frame."""

import argparse

from mmengine.config import DictAction

from tsm_det.config import load_config
from tsm_det.errors import one_sentence_errors
from tsm_det.streaming.detect_source import detect_source
from tsm_det.streaming.online_detector import OnlineDetector


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/detect_video.py configs/tsm_faster_rcnn_r18_synthvid.py CHECKPOINT '
              'data/synthvid/val/000.mp4 --out out.mp4 --json out.jsonl [options]', description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help="checkpoint file, or 'none' for random weights")
    parser.add_argument('source', help='video file, folder of images, or glob of images')
    parser.add_argument('--out', help='mp4 file with the detections drawn in')
    parser.add_argument('--json', help='JSON lines file, one line a frame')
    parser.add_argument('--score-thr', type=float, default=0.3, help='keep detections from this score (default: 0.3)')
    parser.add_argument('--max-frames', type=int, help='stop after so many frames')
    parser.add_argument('--device', default='cpu', help='cpu (default) or cuda:0')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='override keys of the config')
    return parser.parse_args()


@one_sentence_errors
def main() -> None:
    args = parse_args()
    config = load_config(args.config, args.cfg_options)
    detector = OnlineDetector.from_config(config, None if args.checkpoint == 'none' else args.checkpoint, args.device)
    frames = detect_source(detector, args.source, args.out, args.json, args.score_thr, args.max_frames)
    print(f'{frames} frames: {", ".join(path for path in (args.out, args.json) if path) or "nothing written"}')


if __name__ == '__main__':
    main()
