"""Batches of frames from several sources: one frame of each source that has one."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing

from tsm_det.errors import InputError
from tsm_det.video.cameras import StreamFrame
from tsm_det.video.prefetch import prefetch
from tsm_det.video.sources import Source

# Pause while no camera has a new frame.
_POLL_S = 0.002


def batches(sources: Sequence[Source], starts: Mapping[str, int] | None = None, stride: int = 1,
            max_frames: int | None = None) -> Iterator[list[StreamFrame]]:
    """Yield batches for ``OnlineDetector.detect_batch``.

    Each recorded source is decoded by its own thread and has a frame in every batch until it ends. A live source is in
    a batch when it has a new frame; the others never wait for it. While only live sources are left and none has a
    frame, batches are empty, so that the consumer can leave. A failed source is logged; the others continue.

    Args:
        sources: with distinct names.
        starts: first frame id by source name, 0 by default.
        stride: use every ``stride``-th frame.
        max_frames: largest number of frames per source; None for all.

    Raises:
        InputError: a source failed; raised after the last batch of the others.
    """
    failures, counts = [], Counter()
    with ExitStack() as threads:
        running = {}
        for source in sources:
            frames = source.frames((starts or {}).get(source.name, 0), stride)
            running[source.name] = threads.enter_context(closing(frames if source.is_live else prefetch(frames)))
        while running:
            batch = []
            for name, frames in list(running.items()):
                try:
                    frame = next(frames)
                except StopIteration:
                    del running[name]
                except InputError as error:
                    del running[name]
                    failures.append(error)
                    if running:
                        logging.getLogger(__name__).error('%s; the other sources continue', error)
                else:
                    if frame is not None:
                        batch.append(frame)
                        counts[name] += 1
                    if counts[name] == max_frames:
                        del running[name]
            if batch or running:
                yield batch
            if running and not batch:
                time.sleep(_POLL_S)
    if failures:
        raise failures[0]
