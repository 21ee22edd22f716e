"""How far a run over several sources has come: what one run saves and another goes on from."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

from mmengine.logging import print_log

from tsm_det.errors import InputError
from tsm_det.stream_bank import HeldStream
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.streams.state_file import Place, read_state, write_state
from tsm_det.video.batches import StreamFrame
from tsm_det.video.sources import Source


class Progress(AbstractContextManager):
    """Keeps what was seen of each source and, with a path, writes it: at any time whole, and on leaving.

    Args:
        detector: whose streams are saved.
        sources: of the run.
        stride: of every so many frames of a source one is seen.
        path: file; None writes nothing.
        every: rounds from one file to the next.
        places: where an earlier run had come to, from :func:`resume`.
    """

    def __init__(self, detector: OnlineDetector, sources: Sequence[Source], stride: int = 1, path: str | None = None,
                 every: int = 100, places: Mapping[str, Place] | None = None) -> None:
        self._path, self._every, self._stride = path, every, stride
        self._signature = detector.signature() if path else ''
        self._num_frames = {source.name: source.num_frames for source in sources}
        self._places = dict(places or {})
        self._streams, self._rounds = detector.bank.held(), 0

    def keep(self, frames: Sequence[StreamFrame], streams: list[HeldStream]) -> None:
        """Note a round whose results are written, and the streams after it."""
        for frame in frames:
            self._places[frame.stream] = Place(
                frame.frame_id, self._num_frames[frame.stream], self._stride, time.time())
        self._streams = streams
        self._rounds += bool(frames)
        if frames and self._rounds % self._every == 0:
            self._write()

    def __exit__(self, *_: object) -> None:
        self._write()

    def _write(self) -> None:
        if self._path:
            write_state(self._path, self._signature, self._streams, self._places)


def resume(detector: OnlineDetector, path: str, sources: Sequence[Source], stride: int = 1) -> dict[str, Place]:
    """Give the detector back its streams, those of other sources where there is room, and where in each source it was.

    Raises:
        InputError: the file cannot be read or is of another model, or a source is another one of the same name or
            was seen at another stride.
    """
    saved = read_state(path, detector.signature())
    # A detector that read no sources itself knows the frames of its streams.
    places = saved.places or {
        stream.stream_id: Place(stream.frame_id, None, None, time.time()) for stream in saved.streams}
    for source in sources:
        place = places.get(source.name)
        if place is None:
            print_log(f'{source.name} is not in {path}: it starts with its first frame', 'current', logging.WARNING)
        elif None not in (place.num_frames, source.num_frames) and place.num_frames != source.num_frames:
            raise InputError(f'{source.name} has {source.num_frames} frames but the one that {path} was saved of has '
                             f'{place.num_frames}: give that one, or start without the file')
        elif place.stride not in (None, stride):
            raise InputError(f'--stride is {stride} but {path} was saved by a run with {place.stride}: give that '
                             'one, or start without the file')
    names = {source.name for source in sources}
    ours_last = sorted(saved.streams, key=lambda stream: stream.stream_id in names)
    detector.bank.restore(ours_last[-detector.bank.capacity:])
    return places


def first_frames(places: Mapping[str, Place], sources: Sequence[Source], stride: int) -> dict[str, int]:
    """The frame that each source goes on with: a camera did not wait, its frames meanwhile are a gap."""
    now = time.time()
    return {source.name: place.frame_id + stride + round((now - place.seen_at) * source.fps) * (not source.is_recorded)
            for source in sources if (place := places.get(source.name))}
