"""Detect objects in videos, folders of images, cameras and network streams, frame by frame."""

import sys
from argparse import Namespace
from contextlib import ExitStack, redirect_stdout

from command_line import run
from tool_options import add_model_options, add_names, make_parser
from video_options import add_video_options


def parse_args() -> Namespace:
    parser = make_parser('detect_video.py synthvid VIDEO --out drawn.mp4 --json out.jsonl [options]', __doc__)
    add_names(parser, '; or a .onnx file (default: synthvid-gate)')
    parser.add_argument('sources', nargs='*', metavar='SOURCE', help='video file, folder or glob of images or of '
        'videos, webcam (0 or /dev/video0), address (rtsp://..., http://..., or s3://... of files), or NAME.txt that '
        'lists them; several run as one batch')
    add_video_options(parser)
    add_model_options(parser)
    return parser.parse_intermixed_args()


def main(args: Namespace) -> None:
    from tsm_det.config import parse_options
    from tsm_det.export.exported_detector import open_detector
    from tsm_det.published import split_detector
    from tsm_det.streams.detect_sources import detect_sources, open_sources
    from tsm_det.streams.detections import Selection
    from tsm_det.video.connection import CameraSettings, is_live_address
    from tsm_det.video.exports import Exports
    from tsm_det.video.remote_files import local_copies
    from tsm_det.video.sinks import Encoding
    from tsm_det.video.stage_times import StageTimes

    config, checkpoint, names = split_detector([*filter(None, (args.config, args.checkpoint)), *args.sources])
    with ExitStack() as stack:
        if args.json == '-':
            stack.enter_context(redirect_stdout(sys.stderr))
        sources = open_sources(stack.enter_context(local_copies(names, is_live_address)), args.every_frame,
                               args.stall_limit, CameraSettings(args.rtsp_transport, args.webcam_size, args.webcam_fps))
        together = args.at_once + sum(source.is_live for source in sources)
        detector = open_detector(config, checkpoint, args.device, max(64, together), args.max_gap,
                                 parse_options(args.cfg_options), args.engine, args.trust_checkpoint, args.track)
        stages, exports = StageTimes(), Exports(args.mot, args.coco, args.csv, args.cvat)
        options = {}
        if args.metrics is not None:
            from tsm_det.streams.metrics import StreamMetrics, served
            options['on_frame'] = stack.enter_context(served(StreamMetrics(sources), '127.0.0.1', port=args.metrics))
        frames = detect_sources(
            detector, sources, args.out, args.json, args.score_thr, args.show, args.stride, args.max_frames,
            args.save_state, args.save_every, args.resume_state, args.at_once, Encoding(args.encoder, args.preset),
            stages, exports, Selection(args.classes, args.class_thr, args.min_size, args.agnostic_nms), args.fill,
            **options)
        print(stages)
        written = ', '.join(filter(None, (args.out, 'standard output' if args.json == '-' else args.json, *exports)))
        print(f'{frames} frames: {written or "nothing written: --out FILE.mp4 draws the detections"}')


if __name__ == '__main__':
    run(parse_args, main)
