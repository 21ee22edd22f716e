"""Read frame k of a video file: the k-th frame when decoding the file from its start."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from tsm_det.errors import InputError
from tsm_det.video.deep_frames import deep_values, is_deep, num_bits
from tsm_det.video.levels import ValueRange, to_levels, warn_of_lost_video_levels
from tsm_det.video.orientation import upright
from tsm_det.video.video_index import index_video, open_video

# Decoded frames kept for reads slightly back in time, as in a clip around a frame (22 MB at 720p).
_KEPT = 16


class VideoFile:
    """Reads the frames of a video file exactly, in any order, in bounded memory.

    Reading the next frame decodes one frame. Random access decodes from the key frame before in mp4, mov, mkv and webm
    files, and from the start of the file in other formats: convert those before training on them.

    ``times_s`` are the seconds from frame 0 to each frame, by the time stamps. ``fps`` is the stated rate, the mean
    where the rate varies, 30 if unknown. Pickling keeps the arguments only; a forked process opens the file again. No
    threads are started, so worker processes can be forked at any time.

    Args:
        path: an existing video file.
        most_frames: largest number of frames, for untrusted files, whose index is not cached; None for any.
        value_range: of gray or RGB video of 10 to 16 bits: the values that become 0 and 255, see
            :func:`~tsm_det.video.levels.to_levels`; None keeps the upper eight bits, with one warning per file.

    Raises:
        InputError: the file is missing, not a video, empty, truncated or damaged, or has too many frames.
    """

    _stream: VideoStream | None = None

    def __init__(self, path: str | os.PathLike, most_frames: int | None = None,
                 value_range: ValueRange | None = None) -> None:
        self.path, self.value_range = os.fspath(path), value_range
        self._index = index_video(self.path, most_frames)
        self.times_s, self.fps = self._index.times_s, self._index.fps
        self.close()

    def __len__(self) -> int:
        return len(self._index.stamps)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.read(k) for k in range(len(self)))

    def __reduce__(self) -> tuple:
        return type(self), (self.path, None, self.value_range)

    def read(self, k: int) -> np.ndarray:
        """Read frame ``k``, counted from 0: a new array ``(H, W, 3)`` BGR uint8 in the displayed orientation.

        Raises InputError when ``k`` is out of range, or the file is damaged there.
        """
        if not 0 <= k < len(self):
            raise InputError(f'frame {k} of {self.path} was asked for but it has frames 0 to {len(self) - 1}: '
                             'check that frame numbers start at 0 and belong to this file')
        if self._process != os.getpid():
            self.close()
        return self._image(k)

    def close(self) -> None:
        """Release the decoder and its frames; the next read opens the file again."""
        self._end()
        self._process = os.getpid()
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._next = -1  # the next frame of self._frames; -1 when not decoding
        self._kept: dict[int, av.VideoFrame] = {}
        self._reformatter = VideoReformatter()

    def __del__(self) -> None:
        self._end()

    def _end(self) -> None:
        # A container and its streams reference each other and keep the decoder's frames until garbage collection.
        if self._stream is not None:
            self._stream.container.close()
        self._stream = None

    def _image(self, k: int) -> np.ndarray:
        if k not in self._kept:
            self._decode(k)
        return upright(self._pixels(self._kept[k]), self._kept[k])

    def _pixels(self, frame: av.VideoFrame) -> np.ndarray:
        """BGR uint8, as stored."""
        if is_deep(frame):
            if self.value_range is not None:
                return to_levels(deep_values(frame, self._reformatter), self.value_range)
            warn_of_lost_video_levels(self.path, lambda: deep_values(frame, self._reformatter), num_bits(frame))
        return self._reformatter.reformat(frame, format='bgr24', threads=1).to_ndarray()

    def _decode(self, k: int) -> None:
        start = self._index.starts[bisect_right(self._index.starts, k) - 1]
        if not start <= self._next <= k:
            self._begin(start)
        if self._decode_on(k):
            return
        # A seek may miss its key frame (intra refresh has none): decode from the start of the file.
        self._begin(0)
        if not self._decode_on(k):
            raise InputError(f'frame {k} of {self.path} cannot be decoded: the file is damaged at or before it, '
                             'fetch it again, or re-encode it')

    def _begin(self, start: int) -> None:
        """Seek to ``start``, a start of the index."""
        if start == 0 or self._stream is None:
            self._end()
            self._stream = open_video(self.path)
        self._frames = _decode_from(self._stream, self._index.stamps[start] if start else None)
        self._next = start

    def _decode_on(self, k: int) -> bool:
        """Decode up to frame ``k``; False when the frames do not match the index."""
        with suppress(av.FFmpegError, IndexError):  # damage can make PyAV raise an IndexError
            for frame in self._frames:
                if frame.pts != self._index.stamps[self._next]:
                    break
                self._kept[self._next] = frame
                if len(self._kept) > _KEPT:
                    del self._kept[next(iter(self._kept))]
                self._next += 1
                if self._next > k:
                    return True
        self._next = -1
        return False


def _decode_from(stream: VideoStream, stamp: int | None) -> Iterator[av.VideoFrame]:
    """Frames from the key frame at ``stamp`` on; None for the start of a stream just opened."""
    container = stream.container
    assert isinstance(container, av.container.InputContainer)
    if stamp is not None:
        container.seek(stamp, stream=stream)
    for frame in container.decode(stream):
        if stamp is None or frame.pts is None or frame.pts >= stamp:
            yield frame
