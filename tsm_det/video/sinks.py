"""Sinks of detections: JSON lines, and a video with the detections drawn in."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np

from tsm_det.errors import InputError
from tsm_det.files import check_writable, writing

STDOUT = Path('-')  # stands for standard output
_LINE_START = b'{"frame_id": '
# Seconds per tick, to hold the usual rates exactly. MPEG-4 part 2 allows at most 65,535 ticks per second.
_TICK_S, _MPEG4_TICK_S = Fraction(1, 120_000), Fraction(1, 60_000)


class JsonLinesSink(AbstractContextManager):
    """Writes one line of JSON per frame and flushes it before the next frame.

    ``{"frame_id", "time_s", "stream", "reset", "detections": [{"bbox": [x1, y1, x2, y2], "score", "label",
    "class", "track_id"?, "predicted"?}]}``: px, 0-based label; ``reset`` is the reason why the stream started over,
    null if it continued.

    Args:
        path: overwritten unless ``last_frames`` is given; missing folders are created. ``-`` is standard output.
        last_frames: last frame id to keep per stream: the file is truncated after them and appended to.

    Raises:
        InputError: the file cannot be written, on creation or at a frame; or a detection is not finite; or
            ``last_frames`` is given and the file holds other lines, and stays as it is.
    """

    def __init__(self, path: str | os.PathLike, last_frames: Mapping[str, int] | None = None) -> None:
        self.path = Path(path)
        if self.path == STDOUT:
            self._file = open(1, 'w', encoding='utf-8', closefd=False)  # noqa: SIM115
            return
        with writing(path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, 'w' if last_frames is None else 'a', encoding='utf-8')  # noqa: SIM115
            if last_frames is not None:
                self._file.truncate(_length_up_to(self.path, last_frames))

    def __exit__(self, *_: object) -> None:
        with self._writing():
            self._file.close()

    def write(self, frame_id: int, time_s: float, stream: str, reset: str | None,
              detections: Sequence[Mapping], **more: object) -> None:
        """Write the line of one frame, with further keys if given.

        Writes nothing when a number is not finite, which JSON cannot hold.
        """
        try:
            line = json.dumps({'frame_id': frame_id, 'time_s': time_s, 'stream': stream, 'reset': reset,
                               'detections': list(detections), **more}, allow_nan=False)
        except ValueError as error:
            raise InputError(f'the detections of frame {frame_id} of {stream} are not all finite: '
                             'check the checkpoint') from error
        with self._writing():
            self._file.write(line + '\n')
            self._file.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """As ``writing``; a reader of standard output that has read enough ends the run as Ctrl-C does."""
        with writing('standard output' if self.path == STDOUT else self.path):
            try:
                yield
            except BrokenPipeError as error:
                raise KeyboardInterrupt from error


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


class Encoding(NamedTuple):
    """How videos are encoded: an encoder of FFmpeg, and its preset; None: libx264's superfast, or its own."""

    encoder: str = 'libx264'
    preset: str | None = None

    def check(self) -> None:
        """Raise InputError when the encoder cannot be opened here with the preset."""
        try:
            with av.open(io.BytesIO(), 'w', format='mp4') as container:
                stream = container.add_stream(self.encoder, 25, options=self.options())
                stream.width, stream.height, stream.pix_fmt = 256, 256, 'yuv420p'
                container.mux(stream.encode(av.VideoFrame(256, 256, 'yuv420p')))
                container.mux(stream.encode())
        except (av.FFmpegError, ValueError, AttributeError) as error:  # PyAV raises any of them for a codec of sound
            raise InputError(f'the encoder {self.encoder} with preset {self.preset} cannot be opened here '
                             f'({getattr(error, "strerror", error)}): give another --encoder or --preset, or leave '
                             'them out') from error

    def options(self) -> dict[str, str]:
        """Options of the encoder. B-frames are stored out of order, with times that do not add up to those of display
        where the rate varies."""
        preset = self.preset or ('superfast' if self.encoder == 'libx264' else None)
        quality = {'flags': '+qscale', 'global_quality': str(3 * 118)} if self.encoder == 'mpeg4' else {}
        return {'bf': '0', **quality, **({'preset': preset} if preset else {})}


DEFAULT_ENCODING = Encoding()


class VideoSink(AbstractContextManager):
    """Writes frames to an mp4 that shows them at their times.

    Until it is closed, the video is ``NAME.part.mp4``, which plays up to its last second even after a crash.
    The first frame fixes the size, rounded up to even numbers by repeating the last row or column; later frames are
    scaled to it. Without a frame there is no file.

    ``path`` ends in ``.mp4`` and is overwritten; missing folders are created. With ``keep`` the video of an earlier
    run, finished or not, is renamed at the first frame. ``fps``, the mean rate, is for how long the last frame is
    shown, and for key frames. Without libx264 the default encoder is MPEG-4 part 2.

    Raises:
        InputError: the file cannot be written, on creation, at a frame or on leaving.
    """

    _stream: av.VideoStream
    _last: int
    _tick_s: Fraction

    def __init__(self, path: str | os.PathLike, fps: float, encoding: Encoding = DEFAULT_ENCODING,
                 keep: bool = False) -> None:
        self.path, self.encoding, self._keep = Path(path), encoding, keep
        self.part = self.path.with_suffix('.part.mp4')
        self.fps = fps
        self._container: av.container.OutputContainer | None = None
        check_writable(path)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write the end of the video, once."""
        if self._container is not None:
            container, self._container = self._container, None
            with writing(self.path, av.FFmpegError):
                container.mux(self._stream.encode())
                container.close()
                os.replace(self.part, self.path)
            del self._stream

    def write(self, image: np.ndarray, time_s: float) -> None:
        """Append a frame ``(H, W, 3)`` BGR uint8; times are relative to the first frame's."""
        with writing(self.path, av.FFmpegError):
            if self._container is None:
                if self._keep:
                    self._rename_old()
                self._container = self._open(image.shape[1::-1], time_s)
            if image.shape[1::-1] != self._size:
                image = cv2.resize(image, self._size)
            right, below = self._size[0] % 2, self._size[1] % 2
            padded: Any = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
            frame = av.VideoFrame.from_ndarray(padded, format='bgr24')
            frame.pts = self._last = max(self._last + 1, round((time_s - self._begin_s) / self._tick_s))
            frame.time_base = self._tick_s
            self._container.mux(self._stream.encode(frame))

    def _rename_old(self) -> None:
        for existing in filter(Path.is_file, (self.path, self.part)):
            free = (name for k in count(1) if not (name := self.path.with_suffix(f'.{k}.mp4')).exists())
            os.replace(existing, next(free))

    def _open(self, size: tuple[int, int], begin_s: float) -> av.container.OutputContainer:
        self._size, self._begin_s, self._last = size, begin_s, -1
        encoding = self.encoding
        if encoding.encoder == 'libx264' and 'libx264' not in av.codecs_available:
            logging.getLogger(__name__).warning('this PyAV has no libx264: writing MPEG-4 part 2, which browsers lack')
            encoding = Encoding('mpeg4', None)
        is_mpeg4 = encoding.encoder == 'mpeg4'
        self._tick_s = _MPEG4_TICK_S if is_mpeg4 else _TICK_S
        # Fragments of one second, each complete, so that the file plays at any time.
        container = av.open(str(self.part), 'w', format='mp4', options={
            'movflags': 'frag_keyframe+delay_moov+default_base_moof', 'flush_packets': '1'})
        rate = Fraction(self.fps).limit_denominator(65 if is_mpeg4 else 1001)
        options = {**encoding.options(), 'g': str(max(1, round(self.fps)))}
        stream = container.add_stream(encoding.encoder, rate, options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = (side + side % 2 for side in size)
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.time_base = self._tick_s
        self._stream = stream
        return container
