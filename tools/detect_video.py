"""Detect objects in videos, folders of images, cameras and network streams, frame by frame."""

from argparse import Namespace

from command_line import run
from tool_options import add_encoding, add_live_sources, add_model_options, add_names, add_state_files, make_parser


def parse_args() -> Namespace:
    parser = make_parser('detect_video.py configs/tsm_faster_rcnn_r18_synthvid.py CHECKPOINT '
                         'data/synthvid/val/000.mp4 --out out.mp4 --json out.jsonl [options]', __doc__)
    add = parser.add_argument
    add_names(parser, '; or a .onnx file (default: synthvid)')
    add('sources', nargs='*', metavar='SOURCE', help='video file, folder or glob of images or of videos, webcam (0 or '
        '/dev/video0), address (rtsp://..., http://...), or NAME.txt that lists them; several run as one batch')
    add('--out', help='mp4 file with the detections drawn, or a folder/ of them')
    add('--json', help='JSON lines file, one line per frame')
    add('--show', action='store_true', help='also show windows; q quits')
    add('--score-thr', type=float, default=0.3, help='lowest score to keep (default: 0.3)')
    add('--stride', type=int, default=1, metavar='N', help='detect in every N-th frame (default: 1)')
    add('--max-frames', type=int, metavar='N', help='stop after N frames of each source (default: all)')
    add('--at-once', type=int, default=8, metavar='N', help='open N recorded sources at a time (default: 8)')
    add_encoding(parser)
    add_live_sources(parser)
    add('--max-gap', type=int, metavar='N', help='reset a stream when its frame id grows by more than N (default: '
        'never); 0 resets it at every frame')
    add_state_files(parser)
    add_model_options(parser)
    return parser.parse_intermixed_args()


def main(args: Namespace) -> None:
    from tsm_det.config import parse_options
    from tsm_det.export.exported_detector import open_detector
    from tsm_det.published import split_detector
    from tsm_det.streams.detect_sources import detect_sources, open_sources
    from tsm_det.video.connection import CameraSettings
    from tsm_det.video.sinks import Encoding
    from tsm_det.video.stage_times import StageTimes

    config, checkpoint, names = split_detector([*filter(None, (args.config, args.checkpoint)), *args.sources])
    sources = open_sources(names, args.every_frame, args.stall_limit,
                           CameraSettings(args.rtsp_transport, args.webcam_size, args.webcam_fps))
    together = args.at_once + sum(source.is_live for source in sources)
    detector = open_detector(config, checkpoint, args.device, max(64, together), args.max_gap,
                             parse_options(args.cfg_options), args.engine, args.trust_checkpoint)
    stages = StageTimes()
    frames = detect_sources(
        detector, sources, args.out, args.json, args.score_thr, args.show, args.stride, args.max_frames,
        args.save_state, args.save_every, args.resume_state, args.at_once, Encoding(args.encoder, args.preset), stages)
    print(stages)
    print(f'{frames} frames: {", ".join(path for path in (args.out, args.json) if path) or "nothing written"}')


if __name__ == '__main__':
    run(parse_args, main)
