"""Detect in recordings with a detector that reads future frames."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import numpy as np

from tsm_det.errors import InputError
from tsm_det.streams.offline_detector import OfflineDetector
from tsm_det.streams.online_detector import detections_of
from tsm_det.video.batches import batches
from tsm_det.video.cameras import StreamFrame
from tsm_det.video.sources import Source


def check_recordings(sources: Sequence[Source], state_file: str | None = None) -> None:
    """Raise InputError when a source is live, or a state file was given, which only a stream has."""
    if state_file:
        raise InputError(f"{state_file} was given as a state file but direction='both' has no state: leave "
                         '--save-state and --resume-state out')
    if live := [source.name for source in sources if not source.is_recorded]:
        raise InputError(f"{live[0]} is live but direction='both' needs frames of the future: give a recording, or a "
                         "detector with direction='past'")


def detect_recordings(detector: OfflineDetector, sources: Sequence[Source], score_thr: float = 0.0, stride: int = 1,
                      max_frames: int | None = None) -> Generator[
                          tuple[list[tuple[StreamFrame, list[dict], str | None]], list]]:
    """Yield each frame with its detections and reset reason, source after source, as a batch without streams.

    A failed source is logged after the detections of its readable frames; the others continue.

    Raises:
        InputError: a source failed; raised at the end.
    """
    failures: list[InputError] = []
    for source in sources:
        waiting: deque[StreamFrame] = deque()
        for sample in detector(_images(batches([source], None, stride, max_frames), waiting, failures)):
            detections = detections_of(sample, detector.classes, score_thr)
            yield [(waiting.popleft(), detections, sample.metainfo['reset'])], []
    if failures:
        raise failures[0]


def _images(stream: Generator[list[StreamFrame]], waiting: deque[StreamFrame],
            failures: list[InputError]) -> Iterator[np.ndarray]:
    """Yield the images of a source; its frames wait for their detections, its error for the end of the run."""
    with closing(stream):
        try:
            for frames in stream:
                waiting.extend(frames)
                yield from (frame.image for frame in frames)
        except InputError as error:
            logging.getLogger(__name__).error('%s; the frames before it are detected in', error)
            failures.append(error)
