"""Detect objects in videos, folders of images, cameras and network streams, frame by frame."""

import argparse

from tsm_det.cli import CfgOptions, one_sentence_errors
from tsm_det.engines import ENGINES
from tsm_det.export.exported_detector import open_detector
from tsm_det.streams.detect_sources import detect_sources, open_sources


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage='python tools/detect_video.py configs/tsm_faster_rcnn_r18_synthvid.py CHECKPOINT '
              'data/synthvid/val/000.mp4 --out out.mp4 --json out.jsonl [options]', description=__doc__)
    parser.add_argument('config', help='config file; or a .onnx file, which stands for CONFIG CHECKPOINT')
    parser.add_argument('checkpoint', help="checkpoint file, or 'none' for random weights")
    parser.add_argument('sources', nargs='*', metavar='SOURCE', help='video file, folder or glob of images, webcam '
                        '(0 or /dev/video0), or address (rtsp://..., http://...); several run as one batch')
    parser.add_argument('--out', help='mp4 file with the detections drawn in; a folder for several sources')
    parser.add_argument('--json', help='JSON lines file, one line a frame')
    parser.add_argument('--show', action='store_true', help='draw into windows too; q ends it')
    parser.add_argument('--score-thr', type=float, default=0.3, help='keep detections from this score (default: 0.3)')
    parser.add_argument('--stride', type=int, default=1, help='look at every so many frames (default: 1)')
    parser.add_argument('--max-frames', type=int, help='stop after so many frames of each source')
    parser.add_argument('--every-frame', action='store_true', help='drop none of a live source; it may fall behind')
    parser.add_argument('--stall-limit', type=float, default=10, help='seconds a live source may give no frame (10)')
    parser.add_argument('--max-gap', type=int, help='start a stream afresh after a larger step of frame ids')
    parser.add_argument('--save-state', metavar='PATH', help='file to go on from later, written at the end and')
    parser.add_argument('--save-every', type=int, default=100, metavar='N', help='after so many frames of each (100)')
    parser.add_argument('--resume-state', metavar='PATH', help='go on from such a file; --json is cut there')
    parser.add_argument('--device', default='cpu', help='cpu (default) or cuda:0')
    parser.add_argument('--engine', default='eager', help=f'{", ".join(ENGINES)}: see docs/engines.md')
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, help='override keys of the config')
    args = parser.parse_intermixed_args()
    if args.config.endswith('.onnx'):
        args.checkpoint, args.sources = None, [args.checkpoint, *args.sources]
    elif not args.sources:
        parser.error('the following arguments are required: SOURCE')
    return args


@one_sentence_errors
def main() -> None:
    args = parse_args()
    sources = open_sources(args.sources, args.every_frame, args.stall_limit)
    detector = open_detector(
        args.config, args.checkpoint, args.device, max(64, len(sources)), args.max_gap, args.cfg_options, args.engine)
    frames = detect_sources(
        detector, sources, args.out, args.json, args.score_thr, args.show, args.stride, args.max_frames,
        args.save_state, args.save_every, args.resume_state)
    print(f'{frames} frames: {", ".join(path for path in (args.out, args.json) if path) or "nothing written"}')


if __name__ == '__main__':
    main()
