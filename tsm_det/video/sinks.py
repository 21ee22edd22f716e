"""Sinks of detections: JSON lines, and a video with the detections drawn in."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from tsm_det.errors import InputError
from tsm_det.files import check_writable, writing

_LINE_START = b'{"frame_id": '
_TICK_S = Fraction(1, 60_000)  # MPEG-4 part 2 allows at most 65,535 ticks per second


class JsonLinesSink(AbstractContextManager):
    """Writes one line of JSON per frame and flushes it before the next frame.

    ``{"frame_id", "time_s", "stream", "reset", "detections": [{"bbox": [x1, y1, x2, y2], "score", "label",
    "class"}]}``: px, 0-based label; ``reset`` is the reason why the stream started over, null if it continued.

    Args:
        path: overwritten unless ``last_frames`` is given; missing folders are created.
        last_frames: last frame id to keep per stream: the file is truncated after them and appended to.

    Raises:
        InputError: the file cannot be written, on creation or at a frame; or a detection is not finite; or
            ``last_frames`` is given and the file holds other lines, and stays as it is.
    """

    def __init__(self, path: str | os.PathLike, last_frames: Mapping[str, int] | None = None) -> None:
        self.path = Path(path)
        with writing(path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, 'w' if last_frames is None else 'a', encoding='utf-8')  # noqa: SIM115
            if last_frames is not None:
                self._file.truncate(_length_up_to(self.path, last_frames))

    def __exit__(self, *_: object) -> None:
        with writing(self.path):
            self._file.close()

    def write(self, frame_id: int, time_s: float, stream: str, reset: str | None,
              detections: Sequence[Mapping]) -> None:
        """Write the line of one frame; nothing when a number is not finite, which JSON cannot hold."""
        try:
            line = json.dumps({'frame_id': frame_id, 'time_s': time_s, 'stream': stream, 'reset': reset,
                               'detections': list(detections)}, allow_nan=False)
        except ValueError as error:
            raise InputError(f'the detections of frame {frame_id} of {stream} are not all finite: '
                             'check the checkpoint') from error
        with writing(self.path):
            self._file.write(line + '\n')
            self._file.flush()


def _length_up_to(path: Path, last_frames: Mapping[str, int]) -> int:
    """Bytes before the first line of a later frame, or before a line that a killed process left incomplete.

    Raises InputError when a line up to there was not written by this class.
    """
    length = 0
    with path.open('rb') as file:
        for number, line in enumerate(file, 1):
            try:
                if not line.endswith(b'\n') and (line.startswith(_LINE_START) or _LINE_START.startswith(line)):
                    break
                content = json.loads(line)
                if content['frame_id'] > last_frames.get(content['stream'], -1):
                    break
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f'line {number} of {path} is not one of detections: to resume, name the --json file '
                                 'of the interrupted run, or a new one') from error
            length += len(line)
    return length


class VideoSink(AbstractContextManager):
    """Writes frames to an H.264 mp4.

    Until it is closed, the video is ``NAME.part.mp4``, which plays up to its last second even after a crash.
    The first frame fixes the size, rounded up to even numbers by repeating the last row or column; later frames are
    scaled to it. Without a frame there is no file.

    ``path`` ends in ``.mp4`` and is overwritten; missing folders are created.

    Raises:
        InputError: the file cannot be written, on creation, at a frame or on leaving.
    """

    def __init__(self, path: str | os.PathLike, fps: float) -> None:
        self.path = Path(path)
        self.part = self.path.with_suffix('.part.mp4')
        self.fps = fps
        self._container: av.container.OutputContainer | None = None
        check_writable(path)

    def __exit__(self, *_: object) -> None:
        if self._container is not None:
            with writing(self.path, av.FFmpegError):
                self._container.mux(self._stream.encode())
                self._container.close()
                os.replace(self.part, self.path)

    def write(self, image: np.ndarray, time_s: float | None = None) -> None:
        """Append a frame ``(H, W, 3)`` BGR uint8, with its time if the rate varies: for all frames or for none."""
        with writing(self.path, av.FFmpegError):
            if self._container is None:
                self._open(image.shape[1::-1], time_s)
            if image.shape[1::-1] != self._size:
                image = cv2.resize(image, self._size)
            right, below = self._size[0] % 2, self._size[1] % 2
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
            frame = av.VideoFrame.from_ndarray(image, format='bgr24')
            if time_s is not None:
                frame.pts = self._last = max(self._last + 1, round((time_s - self._begin_s) / _TICK_S))
                frame.time_base = _TICK_S
            self._container.mux(self._stream.encode(frame))

    def _open(self, size: tuple[int, int], begin_s: float | None) -> None:
        self._size, self._begin_s, self._last = size, begin_s, -1
        codec, options, max_denominator = 'libx264', {'preset': 'veryfast'}, 1001
        if codec not in av.codecs_available:
            logging.getLogger(__name__).warning('this PyAV has no libx264: writing MPEG-4 part 2, which browsers lack')
            codec, options, max_denominator = 'mpeg4', {'flags': '+qscale', 'global_quality': str(3 * 118)}, 65
        # Fragments of one second, each complete, so that the file plays at any time.
        container = av.open(str(self.part), 'w', format='mp4', options={
            'movflags': 'frag_keyframe+delay_moov+default_base_moof', 'flush_packets': '1'})
        rate = Fraction(self.fps).limit_denominator(max_denominator)
        self._stream = container.add_stream(codec, rate, {**options, 'g': str(max(1, round(self.fps)))})
        self._stream.width, self._stream.height = (side + side % 2 for side in size)
        self._stream.pix_fmt = 'yuv420p'
        if begin_s is not None:
            self._stream.codec_context.time_base = _TICK_S
        self._container = container
