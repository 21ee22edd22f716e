"""From a source to the sinks: what tools/detect_video.py calls."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import islice

from tqdm import tqdm

from tsm_det.streaming.detections import detections_of
from tsm_det.streaming.drawing import draw_detections
from tsm_det.streaming.online_detector import OnlineDetector
from tsm_det.streaming.sinks import JsonLinesSink, VideoSink
from tsm_det.streaming.sources import open_source


def detect_source(detector: OnlineDetector, source: str, out: str | None = None, json_lines: str | None = None,
                  score_thr: float = 0.3, max_frames: int | None = None) -> int:
    """Run a source through a detector as one stream, frame by frame.

    Args:
        detector: whose stream of this source starts afresh.
        source: video file, folder of images, or glob of images.
        out: mp4 file with the detections drawn in.
        json_lines: file with one line of JSON a frame.
        score_thr: detections below it are left out.
        max_frames: stop after so many; None is all.

    Returns:
        How many frames were seen.

    Raises:
        InputError: the source cannot be read or a file cannot be written; what was detected until then is kept.
    """
    opened = open_source(source)
    frames = 0
    with ExitStack() as files:
        video = files.enter_context(VideoSink(out, opened.fps)) if out else None
        lines = files.enter_context(JsonLinesSink(json_lines)) if json_lines else None
        total = min(filter(None, (opened.num_frames, max_frames)), default=None)
        for frame_id, time_s, image in tqdm(islice(opened, max_frames), total=total, unit='frame', mininterval=1):
            [sample] = detector.detect_batch([image], [opened.name], [frame_id])
            found = detections_of(sample, detector.classes, score_thr)
            if lines:
                lines.write(frame_id, time_s, opened.name, sample.metainfo['reset'], found)
            if video:
                video.write(draw_detections(image, found))
            frames += 1
    return frames
