"""Batches of frames from several sources: one frame of each source that has one."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from typing import NamedTuple

from tsm_det.errors import InputError
from tsm_det.video.cameras import StreamFrame
from tsm_det.video.prefetch import prefetch
from tsm_det.video.sources import Source
from tsm_det.video.stage_times import StageTimes

# Recorded sources that are open at a time: each holds about 80 MB at 720p.
MOST_OPEN = 8
# Pause while no camera has a new frame.
_POLL_S = 0.002


class _OpenSource(NamedTuple):
    source: Source
    frames: Generator[StreamFrame | None]


def batches(sources: Sequence[Source], starts: Mapping[str, int] | None = None, stride: int = 1,
            max_frames: int | None = None, most_open: int = MOST_OPEN,
            stages: StageTimes | None = None) -> Generator[list[StreamFrame]]:
    """Yield batches for ``OnlineDetector.detect_batch``.

    Each open recorded source is decoded by its own thread and has a frame in every batch until it ends; then the next
    one is opened. A live source is open from the beginning and in a batch when it has a new frame; the others never
    wait for it. While only live sources are left and none has a frame, batches are empty, so that the consumer can
    leave. A failed source is logged; the others continue.

    Args:
        sources: with distinct names.
        starts: first frame id by source name, 0 by default.
        stride: use every ``stride``-th frame.
        max_frames: largest number of frames per source; None for all.
        most_open: largest number of recorded sources open at a time; of one queue, one is.
        stages: gets the time that recorded sources take to decode, as ``decode``.

    Raises:
        InputError: a source failed; raised after the last batch of the others.
    """
    stages = stages or StageTimes()
    counts: Counter[str] = Counter()
    running: dict[str, _OpenSource] = {}
    waiting, failures = list(sources), []
    try:
        while waiting or running:
            while (source := _next_source(waiting, running, most_open)) is not None:
                waiting.remove(source)
                frames = source.frames((starts or {}).get(source.name, 0), stride)
                running[source.name] = _OpenSource(
                    source, frames if source.is_live else prefetch(stages.timed('decode', frames)))
            batch = []
            for name, (_, frames) in list(running.items()):
                try:
                    frame = next(frames)
                except StopIteration:
                    del running[name]
                except InputError as error:
                    del running[name]
                    failures.append(error)
                    if running or waiting:
                        logging.getLogger(__name__).error('%s; the other sources continue', error)
                else:
                    if frame is not None:
                        batch.append(frame)
                        counts[name] += 1
                    if counts[name] == max_frames:
                        running.pop(name).frames.close()
            if batch or running:
                yield batch
            if running and not batch:
                time.sleep(_POLL_S)
    finally:
        for _, frames in running.values():
            frames.close()
    if failures:
        raise failures[0]


def _next_source(waiting: Sequence[Source], running: Mapping[str, _OpenSource], most_open: int) -> Source | None:
    """The first source that can be opened now."""
    recorded = [source for source, _ in running.values() if not source.is_live]
    queues = {_queue(source) for source in recorded} - {None}
    return next((source for source in waiting if source.is_live or (
        len(recorded) < most_open and _queue(source) not in queues)), None)


def _queue(source: Source) -> str | None:
    return getattr(source, 'queue', None)
