"""Several sources side by side: in each round one frame of all that have one."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import NamedTuple

import numpy as np
from mmengine.logging import print_log

from tsm_det.errors import InputError
from tsm_det.video.cameras import Frame
from tsm_det.video.prefetch import ahead
from tsm_det.video.sources import Source

# How long to wait when no camera has a new frame.
_NAP_S = 0.002


class StreamFrame(NamedTuple):
    """A frame of one of several streams: ``(H, W, 3)`` BGR uint8."""

    stream: str
    frame_id: int
    time_s: float
    image: np.ndarray


def rounds(sources: Sequence[Source], starts: Mapping[str, int] | None = None, stride: int = 1,
           max_frames: int | None = None) -> Iterator[list[StreamFrame]]:
    """Give round after round, each a batch for ``OnlineDetector.detect_batch``.

    Recorded sources are decoded ahead, each in a thread of its own, and have a frame in every round until they end. A
    live source is in a round when it has a new frame; it never makes the others wait. While there are live sources
    alone and none has one, rounds are empty, so that whoever wants no more can leave. A source that fails leaves, with
    a line in the log, and the others go on.

    Args:
        sources: with different names.
        starts: the first frame of a source, by its name; 0 where it does not say.
        stride: give every so many frames of a source.
        max_frames: give at most so many of each source.

    Raises:
        InputError: a source failed; after the last round, when the others have ended.
    """
    failures = []
    with ExitStack() as threads:
        running = {}
        for source in sources:
            frames = source.frames((starts or {}).get(source.name, 0), stride)
            frames = threads.enter_context(closing(frames if source.is_live else ahead(frames)))
            running[source.name] = _at_most(max_frames, frames)
        while running:
            taken = []
            for name, frames in list(running.items()):
                try:
                    frame = next(frames)
                    taken += [] if frame is None else [StreamFrame(name, *frame)]
                except StopIteration:
                    del running[name]
                except InputError as error:
                    del running[name]
                    failures.append(error)
                    if running:
                        print_log(f'{error}; the other sources go on', 'current', logging.ERROR)
            if taken or running:
                yield taken
            if running and not taken:
                time.sleep(_NAP_S)
    if failures:
        raise failures[0]


def _at_most(number: int | None, frames: Iterator[Frame | None]) -> Iterator[Frame | None]:
    """The frames until so many of them were not None."""
    seen = 0
    for frame in frames if number != 0 else ():
        yield frame
        seen += frame is not None
        if seen == number:
            return
