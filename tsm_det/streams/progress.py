"""How far a run is in its sources, in a state file, and how another run continues from there."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tsm_det.errors import InputError
from tsm_det.stream_bank import HeldStream
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.streams.state_file import Position, read_state, write_state
from tsm_det.video.cameras import LiveSource, StreamFrame
from tsm_det.video.fingerprint import fingerprint
from tsm_det.video.sources import Source
from tsm_det.video.stream_paths import is_folder, own_or_shared_paths


class RunProgress:
    """Tracks the position in each source, from ``positions`` on, and writes the state file of ``detect_sources``.

    ``path`` is a file, or a folder of one per source; None writes nothing. ``every`` is the number of batches between
    two writes.
    """

    def __init__(self, detector: OnlineDetector, sources: Sequence[Source], strides: Mapping[str, int], fill: bool,
                 path: str | None, every: int, positions: Mapping[str, Position]) -> None:
        self._paths: Mapping[Any, Path] = _state_paths(sources, path)
        self._files = [*dict.fromkeys(self._paths.values())]
        self._every, self._strides, self._fill = every, strides, fill
        self._signature = detector.signature() if path else ''
        self._num_frames = {source.name: source.num_frames for source in sources}
        self._recordings = {source.name: _recording(source) for source in sources} if path else {}
        self._positions = dict(positions)
        self._streams, self._num_batches = detector.bank.held() if path else [], 0

    def keep(self, frames: Sequence[StreamFrame], streams: list[HeldStream]) -> None:
        """Record a batch whose results are written, and the streams after it."""
        for frame in frames:
            self._positions[frame.stream] = Position(
                frame.frame_id, self._num_frames[frame.stream], self._strides[frame.stream], time.time(),
                self._recordings.get(frame.stream), self._fill, frame.time_s)
        self._streams = streams
        self._num_batches += bool(frames)
        if frames and self._num_batches % self._every == 0:
            self.write()

    def write(self) -> None:
        """Write the state files."""
        for file in self._files:
            # Streams of other sources came from the one file that was resumed.
            write_state(file, self._signature,
                        [stream for stream in self._streams if self._paths.get(stream.stream_id, file) == file],
                        {name: place for name, place in self._positions.items() if self._paths.get(name, file) == file})


def resume(detector: OnlineDetector, path: str, sources: Sequence[Source], strides: Mapping[str, int],
           fill: bool) -> dict[str, Position]:
    """Restore the detector's streams, those of other sources as far as the capacity allows; return the positions.

    ``path`` is a file, or a folder of one per source, where files may be missing.

    Raises:
        InputError: the file cannot be read or is of another model, or a source is another recording, or has another
            length or stride, or its frames were filled and are not now, or the other way round.
    """
    streams: list[HeldStream] = []
    signature = detector.signature()
    positions: dict[str, Position] = {}
    for file in dict.fromkeys(_state_paths(sources, path).values()):
        if not is_folder(path) or file.exists():
            held, known = read_state(file, signature)
            streams += held
            # OnlineDetector.save_state knows no sources, only the last frame of each stream.
            positions |= known or {
                stream.stream_id: Position(stream.frame_id, None, None, time.time())  # type: ignore[misc]
                for stream in held}
    for source in sources:
        position = positions.get(source.name)
        if position is None:
            logging.getLogger(__name__).warning('%s is not in %s: it starts with its first frame', source.name, path)
        elif None not in (position.num_frames, source.num_frames) and position.num_frames != source.num_frames:
            raise InputError(f'{source.name} has {source.num_frames} frames but had {position.num_frames} when {path} '
                             'was saved: give the same file, or start without the state')
        elif position.recording not in (None, _recording(source)):
            raise InputError(f'{source.name} is another recording than when {path} was saved: give the same file, or '
                             'start without the state')
        elif position.stride not in (None, strides[source.name]):
            raise InputError(f'--stride is {strides[source.name]} but {path} was saved with {position.stride}: give '
                             'the same stride, or start without the state')
        elif position.stride is not None and position.is_filled != fill:
            raise InputError(f'{path} was saved {"with" if position.is_filled else "without"} --fill: resume '
                             f'{"with" if position.is_filled else "without"} it, or start without the state')
    names = {source.name for source in sources}
    ours_last = sorted(streams, key=lambda stream: stream.stream_id in names)
    detector.bank.restore(ours_last[-detector.bank.capacity:])
    return positions


def _state_paths(sources: Sequence[Source], path: str | None) -> dict[str, Path]:
    return own_or_shared_paths([source.name for source in sources], path, '.state', '--save-state')


def _recording(source: Source) -> str | None:
    return fingerprint(source.files) if source.is_recorded and source.files else None


def first_frames(positions: Mapping[str, Position], sources: Sequence[Source],
                 steps: Mapping[str, int]) -> dict[str, int]:
    """The next frame id of each source; a live source skips the frames it gave since the run stopped.

    It skips them at its rate so far, and its time goes on. ``steps``: from one frame to the next, by source. A clock
    that was set back meanwhile skips none: frame ids and times never run backwards.
    """
    starts = {}
    for source in sources:
        if position := positions.get(source.name):
            starts[source.name] = position.frame_id + steps[source.name]
            if not source.is_recorded:
                away, passed = max(0.0, time.time() - position.seen_at), position.time_s
                starts[source.name] += round(away * (position.frame_id / passed if passed else source.fps))
                if isinstance(source, LiveSource) and passed is not None:
                    source.continue_from(passed + away)
    return starts
