"""Frames out of a video file: frame k is the k-th that decoding the file from its beginning gives."""

from __future__ import annotations

import os
from collections.abc import Iterator

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from tsm_det.errors import InputError
from tsm_det.video.video_index import index_video, open_video

# Decoded frames kept for reads a little back in time, as in a clip drawn around a frame (22 MB at 720p).
_KEPT = 16


class VideoFile:
    """Reads the frames of a video file exactly, in order or in any other, in bounded memory.

    Reading on costs one decoded frame. Reading elsewhere decodes from the key frame before it in mp4, mov, mkv
    and webm files, and from the beginning of the file in all others: convert those before training on them.

    It travels to other processes as its path; a forked process opens the file anew. It starts no threads,
    so that worker processes may be forked at any time.

    Args:
        path: an existing video file.
        most_frames: that it may have, for files of strangers, which are not remembered; None is any.

    Raises:
        InputError: nothing to read there: missing, not a video, empty, cut off or damaged; or too many frames.
    """

    _stream: VideoStream | None = None

    def __init__(self, path: str | os.PathLike, most_frames: int | None = None) -> None:
        self.path = os.fspath(path)
        self._index = index_video(self.path, most_frames)
        self._forget()

    @property
    def fps(self) -> float:
        """Frames per second as the file states them, the mean where it varies; 30 where it says nothing."""
        return self._index.fps

    def __len__(self) -> int:
        return len(self._index.stamps)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.read(k) for k in range(len(self)))

    def __reduce__(self) -> tuple:
        return VideoFile, (self.path,)

    def read(self, k: int) -> np.ndarray:
        """Give frame ``k``, counted from 0.

        Returns:
            ``(H, W, 3)`` BGR uint8 in the displayed orientation, a new array.

        Raises:
            InputError: the video has no such frame, or the file is damaged there.
        """
        if not 0 <= k < len(self):
            raise InputError(f'frame {k} of {self.path} was asked for but it has frames 0 to {len(self) - 1}: '
                             'check that frame numbers count from 0 and belong to this file')
        if self._process != os.getpid():
            self._forget()
        if k not in self._kept:
            self._decode(k)
        image = self._reformatter.reformat(self._kept[k], format='bgr24', threads=1).to_ndarray()
        return turned(image, self._kept[k].rotation)

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        # Left to the garbage collector, a container and its streams hold each other, with the decoder's frames.
        if self._stream is not None:
            self._stream.container.close()
        self._stream = None

    def _forget(self) -> None:
        self._close()
        self._process = os.getpid()
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._next: int | None = None  # the frame that self._frames gives next, None: nothing is being decoded
        self._kept: dict[int, av.VideoFrame] = {}
        self._reformatter = VideoReformatter()

    def _decode(self, k: int) -> None:
        start = self._index.start_before(k)
        if self._next is None or not start <= self._next <= k:
            self._begin(start)
        if self._decode_on(k):
            return
        # Where a seek did not land on its key frame (intra refresh has none), only the beginning will do.
        self._begin(0)
        if not self._decode_on(k):
            raise InputError(f'frame {k} of {self.path} cannot be decoded: the file is damaged at or before it, '
                             'fetch it again or re-encode it')

    def _begin(self, start: int) -> None:
        """Make ``start``, one of the index's, the frame that comes next."""
        if start == 0 or self._stream is None:
            self._close()
            self._stream = open_video(self.path)
        self._frames = _decode_from(self._stream, self._index.stamps[start] if start else None)
        self._next = start

    def _decode_on(self, k: int) -> bool:
        """Decode up to frame ``k``; False when the frames that come are not those of the index."""
        try:
            for frame in self._frames:
                if frame.pts != self._index.stamps[self._next]:
                    break
                self._kept[self._next] = frame
                if len(self._kept) > _KEPT:
                    del self._kept[next(iter(self._kept))]
                self._next += 1
                if self._next > k:
                    return True
        except (av.FFmpegError, IndexError):  # an IndexError where damage makes PyAV count streams that are none
            pass
        self._next = None
        return False


def _decode_from(stream: VideoStream, stamp: int | None) -> Iterator[av.VideoFrame]:
    """The frames from the key frame at ``stamp`` on; None is from the beginning of a stream just opened."""
    if stamp is not None:
        stream.container.seek(stamp, stream=stream)
    for frame in stream.container.decode(stream):
        if stamp is None or frame.pts is None or frame.pts >= stamp:
            yield frame


_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def turned(image: np.ndarray, degrees: int) -> np.ndarray:
    """Turn a stored image ``(H, W, C)`` counterclockwise, as its stream says that it is to be displayed."""
    turn = _TURNS.get(degrees % 360)
    return image if turn is None else cv2.rotate(image, turn)
