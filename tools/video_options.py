"""The options of detect_video.py. Standard library only, so that --help does not wait for torch and mmdet."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError


def add_video_options(parser: ArgumentParser) -> None:
    """Add all options but those of the detector."""
    add = parser.add_argument
    add('--out', help='mp4 file with the detections drawn, or a folder/ of them')
    add('--json', type=_stdout_or_file, help='JSON lines file, one line per frame, or a folder/ of one file per '
        'source, or - for standard output')
    add('--show', action='store_true', help='also show windows; q quits')
    for add_options in (_add_exports, _add_selection, add_tracking, _add_length, _add_encoding, _add_live_sources,
                        _add_state_files):
        add_options(parser)


def _add_exports(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add('--mot', metavar='DIR', help='folder of MOTChallenge files, one per source')
    add('--coco', metavar='FILE', help='COCO file, which is also CocoVID')
    add('--csv', metavar='FILE', help='table with one row per detection')
    add('--cvat', metavar='FILE', help='XML file for CVAT ("CVAT for video 1.1"), or a folder/ of them')


def _add_selection(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add('--score-thr', type=float, default=0.3, help='lowest score to keep (default: 0.3)')
    add('--class-thr', type=_class_thrs, default={}, metavar='NAME=T,...', help='lowest scores of some classes '
        '(default: --score-thr)')
    add('--classes', type=_names, metavar='NAME,...', help='classes to keep (default: all)')
    add('--min-size', type=float, default=0, metavar='PX', help='least width and height of a box (default: 0)')
    add('--agnostic-nms', action='store_true', help='of overlapping boxes keep the best, whatever their classes')


def add_tracking(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add('--track', choices=['bytetrack', 'ocsort', 'sort'], help='give detections track ids by this tracker')
    add('--stride', type=_numbers, default=1, metavar='N[,N...]', help='detect in every N-th frame, of all sources or '
        'of each (default: 1)')
    add('--fill', action='store_true', help='predict the tracks in the frames between; needs --track')


def _add_length(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add('--max-frames', type=int, metavar='N', help='stop after N frames of each source (default: all)')
    add('--at-once', type=int, default=8, metavar='N', help='open N recorded sources at a time (default: 8)')
    add('--max-gap', type=int, metavar='N', help='reset a stream when its frame id grows by more than N (default: '
        'never); 0 resets it at every frame')


def _add_encoding(parser: ArgumentParser) -> None:
    parser.add_argument('--encoder', default='libx264', help="FFmpeg's encoder of --out, e.g. h264_nvenc (default: "
                        'libx264)')
    parser.add_argument('--preset', help="preset of the encoder, ultrafast to veryslow for libx264 (default: "
                        "superfast, or the encoder's own)")


def _add_live_sources(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add('--every-frame', action='store_true', help='drop no frame of a live source; detection may fall behind')
    add('--stall-limit', type=float, default=10, metavar='S', help='stop a live source after S seconds without a '
        'frame (default: 10)')
    add('--metrics', type=int, metavar='PORT', help='serve counters and latencies for Prometheus at this port of '
        '127.0.0.1 during the run; needs prometheus-client')
    add('--rtsp-transport', choices=['tcp', 'udp'], default='tcp', help='transport of rtsp (default: tcp)')
    add('--webcam-size', type=int, nargs=2, metavar=('W', 'H'), help='size of webcam frames in px')
    add('--webcam-fps', type=float, metavar='F', help='frames per second of a webcam')


def _add_state_files(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add('--save-state', metavar='PATH', help='write the states of all streams here, also during the run')
    add('--save-every', type=int, default=100, metavar='N', help='write --save-state every N frames of each source '
        '(default: 100)')
    add('--resume-state', metavar='PATH', help='resume from a --save-state file; --json is cut there and continued')


def _stdout_or_file(text: str) -> str:
    return '-' if text == '/dev/stdout' else text


def _numbers(text: str) -> int | list[int]:
    if not all(part.isdecimal() for part in text.split(',')):
        raise ArgumentTypeError(f'it is {text} but must be a whole number, or one per source with commas between')
    numbers = [int(part) for part in text.split(',')]
    return numbers if len(numbers) > 1 else numbers[0]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(',')]


def _class_thrs(text: str) -> dict[str, float]:
    try:
        return {name: float(score_thr) for name, _, score_thr in (part.rpartition('=') for part in _names(text))}
    except ValueError as error:
        raise ArgumentTypeError(f'it is {text} but must be NAME=SCORE, with commas between') from error
