"""One detector for all visitors."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from tsm_det.streams.detections import detections_of
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.video.drawing import label_colour


class Found(NamedTuple):
    """What was found in a frame, and why its stream began afresh, None while it runs on."""

    detections: list[dict]
    reset: str | None


class _Request(NamedTuple):
    image: np.ndarray
    stream_id: str
    frame_id: int
    found: Future


class SharedDetector:
    """Takes the frames of many streams through a detector that only one thread touches.

    Frames that wait at the same time go through it in one batch. Nothing here blocks the event loop.

    Args:
        detector: with room for as many streams as ever wait at once.
    """

    def __init__(self, detector: OnlineDetector) -> None:
        self._detector = detector
        self._waiting: deque[_Request] = deque()
        self._thread = ThreadPoolExecutor(1, 'detector')

    def colours(self) -> list[str]:
        """Colour of each label for the page, as it has in videos."""
        colours = (label_colour(label) for label in range(len(self._detector.classes)))
        return [f'rgb({red} {green} {blue})' for blue, green, red in colours]

    async def detect(self, image: np.ndarray, stream_id: str, frame_id: int) -> Found:
        """Detect in a stream's next frame, ``(H, W, 3)`` BGR uint8; a stream has one frame waiting at most."""
        request = _Request(image, stream_id, frame_id, Future())
        self._waiting.append(request)
        self._thread.submit(self._detect_waiting)
        return await asyncio.wrap_future(request.found)

    async def reset(self, stream_id: str) -> None:
        """Forget a stream, after the frame of it that may be under way."""
        await asyncio.wrap_future(self._thread.submit(self._detector.reset, stream_id))

    def close(self) -> None:
        """End the thread after the batch that it is at."""
        self._thread.shutdown(cancel_futures=True)

    def _detect_waiting(self) -> None:
        """What the thread does for each request; one before may have served several, and leaves none to do."""
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        batch = [request for request in waiting if request.found.set_running_or_notify_cancel()]
        if batch:
            self._answer(batch)

    def _answer(self, batch: Sequence[_Request]) -> None:
        """Set what was found in each frame, or the exception that it raises when it goes through alone."""
        try:
            found = self._detect_batch(batch)
        except Exception as error:
            if len(batch) == 1:
                batch[0].found.set_exception(error)
                return
            for request in batch:  # a batch that failed has left nothing in the memory of the streams
                self._answer([request])
        else:
            for request, one in zip(batch, found, strict=True):
                request.found.set_result(one)

    def _detect_batch(self, batch: Sequence[_Request]) -> list[Found]:
        samples = self._detector.detect_batch(*zip(*(request[:3] for request in batch), strict=True))
        return [Found(detections_of(sample, self._detector.classes), sample.metainfo['reset']) for sample in samples]
