"""Progress of a run over several sources: save it, and resume from it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from tsm_det.errors import InputError
from tsm_det.stream_bank import HeldStream
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.streams.state_file import Position, read_state, write_state
from tsm_det.video.cameras import StreamFrame
from tsm_det.video.sources import Source


class RunProgress(AbstractContextManager):
    """Tracks the position in each source and writes a state file: regularly, and on leaving.

    Args:
        detector: its streams are saved.
        sources: of the run.
        stride: the run uses every ``stride``-th frame.
        path: state file; None to write nothing.
        every: batches between two writes.
        positions: of an earlier run, from :func:`resume`.
    """

    def __init__(self, detector: OnlineDetector, sources: Sequence[Source], stride: int = 1, path: str | None = None,
                 every: int = 100, positions: Mapping[str, Position] | None = None) -> None:
        self._path, self._every, self._stride = path, every, stride
        self._signature = detector.signature() if path else ''
        self._num_frames = {source.name: source.num_frames for source in sources}
        self._positions = dict(positions or {})
        self._streams, self._num_batches = detector.bank.held(), 0

    def keep(self, frames: Sequence[StreamFrame], streams: list[HeldStream]) -> None:
        """Record a batch whose results are written, and the streams after it."""
        for frame in frames:
            self._positions[frame.stream] = Position(
                frame.frame_id, self._num_frames[frame.stream], self._stride, time.time())
        self._streams = streams
        self._num_batches += bool(frames)
        if frames and self._num_batches % self._every == 0:
            self._write()

    def __exit__(self, *_: object) -> None:
        self._write()

    def _write(self) -> None:
        if self._path:
            write_state(self._path, self._signature, self._streams, self._positions)


def resume(detector: OnlineDetector, path: str, sources: Sequence[Source], stride: int = 1) -> dict[str, Position]:
    """Restore the detector's streams, those of other sources as far as the capacity allows; return the positions.

    Raises:
        InputError: the file cannot be read or is of another model, or a source has another length or stride.
    """
    saved = read_state(path, detector.signature())
    # OnlineDetector.save_state knows no sources, only the last frame of each stream.
    positions = saved.positions or {
        stream.stream_id: Position(stream.frame_id, None, None, time.time()) for stream in saved.streams}
    for source in sources:
        position = positions.get(source.name)
        if position is None:
            logging.getLogger(__name__).warning('%s is not in %s: it starts with its first frame', source.name, path)
        elif None not in (position.num_frames, source.num_frames) and position.num_frames != source.num_frames:
            raise InputError(f'{source.name} has {source.num_frames} frames but had {position.num_frames} when {path} '
                             'was saved: give the same file, or start without the state')
        elif position.stride not in (None, stride):
            raise InputError(f'--stride is {stride} but {path} was saved with {position.stride}: give the same '
                             'stride, or start without the state')
    names = {source.name for source in sources}
    ours_last = sorted(saved.streams, key=lambda stream: stream.stream_id in names)
    detector.bank.restore(ours_last[-detector.bank.capacity:])
    return positions


def first_frames(positions: Mapping[str, Position], sources: Sequence[Source], stride: int) -> dict[str, int]:
    """The next frame id of each source; a live source skips the frames it gave since the run stopped."""
    now = time.time()
    return {source.name: position.frame_id + stride + (
                0 if source.is_recorded else round((now - position.seen_at) * source.fps))
            for source in sources if (position := positions.get(source.name))}
