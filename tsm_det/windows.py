"""Overlapping windows of a video of any length, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar('T')


def windows(frames: Iterable[T], num_kept: int, margin: int) -> Iterator[tuple[list[T], slice]]:
    """Cut a video into windows of at most ``num_kept + 2 * margin`` frames.

    If a frame depends on at most ``margin`` frames on each side, the kept frames of all windows are those of the whole
    video.

    Args:
        frames: oldest first; the next window is read when it is asked for.
        num_kept: frames to keep per window, at least 1; the last window may keep up to ``margin`` more.
        margin: frames around the kept ones, on each side, as far as the video has them.

    Yields:
        Consecutive frames, and which of them to keep: every frame of the video is kept in exactly one window.
    """
    window, first = [], 0  # the frames before the first to keep are the margin
    for frame in frames:
        window.append(frame)
        if len(window) == first + num_kept + margin:
            yield window, slice(first, first + num_kept)
            start = max(0, first + num_kept - margin)
            window, first = window[start:], first + num_kept - start
    if len(window) > first:
        yield window, slice(first, len(window))
