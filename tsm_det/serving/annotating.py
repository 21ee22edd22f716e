"""Annotated frames for the demo page: one detector, one memory per stream."""

from __future__ import annotations

import copy
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import av
import cv2
import numpy as np

from tsm_det.errors import InputError
from tsm_det.stream_bank import StreamBank
from tsm_det.streams.detections import detections_of
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.video.drawing import draw_detections
from tsm_det.video.levels import ValueRange
from tsm_det.video.video_file import VideoFile

_MOST_PIXELS = 4096 * 2304  # per frame
_MOST_FRAMES = 20_000  # per video: 11 minutes at 30 fps
_LONGEST_PAUSE_NS = 10 * 10 ** 9  # of a camera; after a longer one its stream starts over
_GAP_PX = 4  # between the picture without memory and that with it
# Containers that hold their own data. Playlists, which FFmpeg reads too, can name other files of this machine.
_FORMATS = 'mov,mp4,matroska,webm,mpegts,avi,flv,mpeg,ogg,asf'


class DemoStream:
    """Memory of one camera or video, with the reason for its last reset and the number of frames since then.

    ``forgetful`` is a memory that starts over at every frame: the same detector in 2D.
    """

    def __init__(self) -> None:
        self.bank, self.forgetful = StreamBank(capacity=1, max_gap=_LONGEST_PAUSE_NS), StreamBank(capacity=1, max_gap=0)
        self.reset, self.frames = 'new', 0


class Annotator:
    """Draws detections into the frames of all visitors.

    The detector runs in one thread: compiled engines and OpenMP keep data per thread. ``value_range`` is that of
    ``LoadFrame`` in its pipeline, for videos of more than 8 bits.
    """

    def __init__(self, detector: OnlineDetector, value_range: ValueRange | None = None) -> None:
        self._value_range = value_range
        self._detector, self._thread = detector, ThreadPoolExecutor(1, 'detector')

    def annotate(self, image: np.ndarray, stream: DemoStream, score_thr: float, beside: bool = False,
                 frame_id: int | None = None) -> tuple[str, str]:
        """Annotate a stream's next frame ``(H, W, 3)`` BGR uint8: a JPEG data URL, and a line with latency and reset.

        ``beside`` adds, on the left, what the detector finds without memory; the latency is without that. A camera's
        frame id is None, which stands for the time in ns, so that a long pause is a gap. Raises InputError when the
        frame is too large or too narrow.
        """
        _check_pixels(*image.shape[1::-1])
        frame_id = time.monotonic_ns() if frame_id is None else frame_id
        start = time.perf_counter()
        detections, reset = self._thread.submit(self._detect, image, stream.bank, score_thr, frame_id).result()
        latency_ms = 1000 * (time.perf_counter() - start)
        stream.reset, stream.frames = (reset, 1) if reset else (stream.reset, stream.frames + 1)
        picture, compared = draw_detections(image, detections), ''
        if beside:
            alone, _ = self._thread.submit(self._detect, image, stream.forgetful, score_thr, frame_id).result()
            left = cv2.copyMakeBorder(draw_detections(image, alone), 0, 0, 0, _GAP_PX, cv2.BORDER_CONSTANT,
                                      value=(255, 255, 255))
            picture, compared = np.hstack([left, picture]), f' (without memory: {len(alone)})'
        jpeg = cv2.imencode('.jpg', picture)[1]
        return f'data:image/jpeg;base64,{b64encode(jpeg).decode()}', (
            f'{latency_ms:.0f} ms per frame, detections: {len(detections)}{compared}, '
            f'frame {stream.frames} since reset ({stream.reset})')

    def annotate_video(self, path: str, stream: DemoStream, score_thr: float,
                       beside: bool = False) -> Iterator[tuple[str, str]]:
        """Annotate the frames of a video file, none before its time; the stream starts over.

        Raises InputError when the file is not a video, damaged, or over a limit.
        """
        stream.bank.clear()
        _check_header(path)
        video, start = VideoFile(
            path, _MOST_FRAMES, self._value_range), time.perf_counter()
        for frame_id, (image, time_s) in enumerate(zip(video, video.times_s, strict=True)):
            time.sleep(np.clip(start + time_s - time.perf_counter(), 0, 1))
            yield self.annotate(image, stream, score_thr, beside, frame_id)

    def _detect(self, image: np.ndarray, bank: StreamBank, score_thr: float, frame_id: int) -> tuple[list, str | None]:
        detector = copy.copy(self._detector)  # the same network with the memory of this stream
        detector.bank = bank
        [sample] = detector.detect_batch([image], [None], [frame_id])
        return detections_of(sample, detector.classes, score_thr), sample.metainfo['reset']


def _check_header(path: str) -> None:
    try:
        with av.open(path, options={'format_whitelist': _FORMATS, 'protocol_whitelist': 'file'}) as container:
            if coder := getattr(container.streams.best('video'), 'codec_context', None):
                _check_pixels(coder.width, coder.height)
    except (av.FFmpegError, UnicodeDecodeError) as error:
        raise InputError(f'{path} cannot be read as a video: choose a video file, such as mp4, mkv or webm') from error


def _check_pixels(width: int, height: int) -> None:
    if width * height > _MOST_PIXELS:
        raise InputError(f'a frame has {width} x {height} px but at most {_MOST_PIXELS} px are allowed: scale it down')
