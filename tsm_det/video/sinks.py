"""Sinks of detections: JSON lines, and a video with the detections drawn in."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO

import av
import cv2
import numpy as np

from tsm_det.errors import InputError
from tsm_det.files import check_writable, writing

_TICK_S = Fraction(1, 90_000)


class JsonLinesSink:
    """Writes one line of JSON per frame and flushes it before the next frame.

    ``{"frame_id", "time_s", "stream", "reset", "detections": [{"bbox": [x1, y1, x2, y2], "score", "label",
    "class"}]}``: px, 0-based label; ``reset`` is the reason why the stream started over, null if it continued.

    Args:
        path: overwritten unless ``last_frames`` is given; missing folders are created.
        last_frames: of each stream, the last frame to keep: the file is truncated after them and appended to.

    Raises:
        InputError: the file cannot be written, on entering or at a frame; or a detection is not finite.
    """

    def __init__(self, path: str | os.PathLike, last_frames: Mapping[str, int] | None = None) -> None:
        self.path = Path(path)
        self.last_frames = last_frames

    def __enter__(self) -> JsonLinesSink:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file: IO[str] = open(self.path, 'w' if self.last_frames is None else 'a', encoding='utf-8')
            if self.last_frames is not None:
                self._file.truncate(_length_up_to(self.path, self.last_frames))
        return self

    def __exit__(self, *_: object) -> None:
        with writing(self.path):
            self._file.close()

    def write(self, frame_id: int, time_s: float, stream: str, reset: str | None,
              detections: Sequence[Mapping]) -> None:
        """Write the line of one frame; nothing when a number is not finite, which JSON cannot hold."""
        line = {'frame_id': frame_id, 'time_s': time_s, 'stream': stream, 'reset': reset,
                'detections': list(detections)}
        try:
            text = json.dumps(line, allow_nan=False)
        except ValueError as error:
            raise InputError(f'the detections of frame {frame_id} of {stream} are not all finite: '
                             'check the checkpoint') from error
        with writing(self.path):
            self._file.write(text + '\n')
            self._file.flush()


def _length_up_to(path: Path, last_frames: Mapping[str, int]) -> int:
    """Bytes before the first line of a later frame, or before a line that a killed process left incomplete."""
    length = 0
    with path.open('rb') as file:
        for line in file:
            try:
                content = json.loads(line)
                is_kept = line.endswith(b'\n') and content['frame_id'] <= last_frames.get(content['stream'], -1)
            except (ValueError, KeyError, TypeError):
                is_kept = False
            if not is_kept:
                break
            length += len(line)
    return length


class VideoSink:
    """Writes frames to an H.264 mp4.

    Until it is closed, the video is ``NAME.part.mp4``, which plays up to its last second even when the process dies.
    The first frame fixes the size, rounded up to even numbers by repeating the last row or column; later frames are
    scaled to it. Without a frame there is no file.

    Args:
        path: ends in ``.mp4``; overwritten; missing folders are created.
        fps: frames per second.

    Raises:
        InputError: the file cannot be written, on entering, at a frame or on leaving.
    """

    def __init__(self, path: str | os.PathLike, fps: float) -> None:
        self.path = Path(path)
        self.part = self.path.with_suffix('.part.mp4')
        self.fps = fps
        self._encoder: _H264Encoder | _Mpeg4Encoder | None = None

    def __enter__(self) -> VideoSink:
        check_writable(self.path)
        return self

    def __exit__(self, *_: object) -> None:
        if self._encoder is not None:
            with writing(self.path, av.FFmpegError):
                self._encoder.close()
                os.replace(self.part, self.path)

    def write(self, image: np.ndarray, time_s: float | None = None) -> None:
        """Append a frame.

        Args:
            image: ``(H, W, 3)`` BGR uint8.
            time_s: time of the frame, for a varying rate; given for all frames or for none.
        """
        height, width = image.shape[:2]
        with writing(self.path, av.FFmpegError):
            if self._encoder is None:
                self._size = width, height
                self._encoder = _encoder(self.part, self.fps, (width + width % 2, height + height % 2))
            if (width, height) != self._size:
                image = cv2.resize(image, self._size)
            right, below = self._size[0] % 2, self._size[1] % 2
            self._encoder.write(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE), time_s)


def _encoder(path: Path, fps: float, size: tuple[int, int]) -> _H264Encoder | _Mpeg4Encoder:
    if 'libx264' in av.codecs_available:
        return _H264Encoder(path, fps, size)
    logging.getLogger(__name__).warning('this PyAV has no libx264: writing MPEG-4 part 2, which browsers do not play')
    return _Mpeg4Encoder(path, fps, size)


class _H264Encoder:
    """Writes fragments of one second, each complete, so that the file plays at any time."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        self._container = av.open(str(path), 'w', format='mp4', options={
            'movflags': 'frag_keyframe+delay_moov+default_base_moof', 'flush_packets': '1'})
        self._stream = self._container.add_stream('libx264', rate=Fraction(fps).limit_denominator(1001), options={
            'preset': 'veryfast', 'g': str(max(1, round(fps)))})
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = 'yuv420p'
        self._begin_s: float | None = None
        self._last = -1

    def write(self, image: np.ndarray, time_s: float | None) -> None:
        frame = av.VideoFrame.from_ndarray(image, format='bgr24')
        if time_s is not None:
            if self._begin_s is None:
                self._begin_s, self._stream.codec_context.time_base = time_s, _TICK_S
            frame.pts = self._last = max(self._last + 1, round((time_s - self._begin_s) / _TICK_S))
            frame.time_base = _TICK_S
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()


class _Mpeg4Encoder:
    """Writes by OpenCV, without libx264; the file plays only after closing."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), fps, size)
        if not self._writer.isOpened():
            raise OSError('OpenCV cannot open it')

    def write(self, image: np.ndarray, _time_s: float | None) -> None:
        self._writer.write(image)

    def close(self) -> None:
        self._writer.release()
