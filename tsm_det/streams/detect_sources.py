"""Detect in sources and write the results: the library side of tools/detect_video.py."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from tsm_det.errors import InputError
from tsm_det.locks import locked
from tsm_det.stream_bank import HeldStream
from tsm_det.streams.offline_detector import OfflineDetector
from tsm_det.streams.offline_sources import check_recordings, detect_recordings
from tsm_det.streams.online_detector import OnlineDetector, detections_of
from tsm_det.streams.state_file import Position, read_state, write_state
from tsm_det.video.batches import MOST_OPEN, batches
from tsm_det.video.cameras import StreamFrame
from tsm_det.video.connection import DEFAULT_CAMERA, CameraSettings, without_password
from tsm_det.video.fingerprint import fingerprint
from tsm_det.video.outputs import Outputs, check_outputs
from tsm_det.video.prefetch import prefetch
from tsm_det.video.sinks import DEFAULT_ENCODING, Encoding
from tsm_det.video.source_names import source_names
from tsm_det.video.sources import RecordedSource, Source, in_levels, open_source
from tsm_det.video.stage_times import StageTimes

_Detected = tuple[StreamFrame, list[dict], str | None]  # with detections and the reason of a reset


def detect_sources(detector: OnlineDetector | OfflineDetector, sources: Sequence[Source], out: str | None = None,
                   json_lines: str | None = None, score_thr: float = 0.3, show: bool = False, stride: int = 1,
                   max_frames: int | None = None, save_state: str | None = None, save_every: int = 100,
                   resume_state: str | None = None, most_open: int = MOST_OPEN, encoding: Encoding = DEFAULT_ENCODING,
                   stages: StageTimes | None = None) -> int:
    """Run sources through a detector, one stream per source; decoding, detecting, drawing and writing overlap.

    Args:
        detector: its streams of these sources start over, or continue from ``resume_state``. An OfflineDetector takes
            recordings only, one after the other, and has no state to save.
        sources: from :func:`open_sources`.
        out: mp4 file with the detections drawn in, shown at the times of the frames; with several sources, or if it is
            a folder or ends in ``/``, a folder of such files.
        json_lines: JSON lines file, one line per frame.
        score_thr: lowest score of a detection.
        show: draw into windows too; the key q ends the run.
        stride: use every ``stride``-th frame.
        max_frames: largest number of frames per source; None for all.
        save_state: state file, written atomically every ``save_every`` batches and at the end, also after Ctrl-C.
        resume_state: state file to continue from, and to save to without ``save_state``. ``json_lines`` is truncated
            at its frames and appended to; an existing video is renamed. Frames that a live source gave meanwhile are a
            gap in its frame ids.
        most_open: largest number of recorded sources open at a time.
        encoding: encoder of ``out`` and its preset.
        stages: gets how long decoding, detecting, drawing and writing took.

    Returns the number of frames.

    Raises:
        InputError: a source cannot be read, or a file cannot be written, is a source or another run's output; results
            until then are kept. Or an OfflineDetector got a live source or a state file.
    """
    for flag, number in (('--stride', stride), ('--max-frames', max_frames), ('--save-every', save_every),
                         ('--at-once', most_open)):
        if number is not None and number < 1:
            raise InputError(f'{flag} is {number} but must be at least 1')
    if not 0 <= score_thr <= 1:
        raise InputError(f'--score-thr is {score_thr} but must be from 0 to 1')
    out, json_lines, save_state, resume_state = (
        path and os.path.expanduser(path) for path in (out, json_lines, save_state, resume_state))
    save_state = save_state or resume_state
    if isinstance(detector, OfflineDetector):
        check_recordings(sources, save_state)
    sources = [in_levels(source, detector.model.dataset_meta.get('value_range')) for source in sources]
    written = check_outputs(sources, out, json_lines, save_state)
    positions = {} if not resume_state or isinstance(detector, OfflineDetector) else resume(
        detector, resume_state, sources, stride)
    last = {name: position.frame_id for name, position in positions.items()} if resume_state else None
    starts = first_frames(positions, sources, stride)
    totals = [max_frames if source.num_frames is None else
              len(range(starts.get(source.name, 0), source.num_frames, stride)[:max_frames]) for source in sources]
    stages, num_frames = stages or StageTimes(), 0
    with ExitStack() as stack:
        stack.enter_context(locked(*written))
        outputs = stack.enter_context(Outputs(sources, out, json_lines, show, stride, last, encoding))
        detected = stages.timed('decode and detect', detect_recordings(
            detector, sources, score_thr, stride, max_frames)) if isinstance(detector, OfflineDetector) else _detect(
            detector, batches(sources, starts, stride, max_frames, most_open, stages), score_thr, stages)
        results = stack.enter_context(closing(prefetch(_draw(outputs, prefetch(detected), stages))))
        total = None if None in totals else sum(filter(None, totals))
        bar = stack.enter_context(tqdm(total=total, unit='frame', mininterval=1))
        progress = RunProgress(detector, sources, stride, save_state,  # type: ignore[arg-type]
                               save_every, positions)
        stack.callback(progress.write)
        for batch, streams in results:
            with stages.measure('write'):
                for drawn in batch:
                    outputs.write(*drawn)
                frames = [frame for frame, *_ in batch]
                outputs.finish_others({frame.stream for frame in frames})
                progress.keep(frames, streams)
            num_frames += len(batch)
            stages.num_frames += len(batch)
            bar.update(len(batch))
            if dropped := sum(getattr(source, 'dropped', 0) for source in sources):
                bar.set_postfix(dropped=dropped, refresh=False)
    return num_frames


def open_sources(names: Sequence[str], every_frame: bool = False, stall_limit_s: float = 10.0,
                 camera: CameraSettings = DEFAULT_CAMERA) -> list[Source]:
    """Open sources for :func:`detect_sources`, with distinct names; arguments as in ``open_source``.

    A list ``NAME.txt`` stands for its lines, a folder or a pattern of videos for its videos, one after another.

    Raises:
        InputError: a source cannot be opened, or is named twice, perhaps with two passwords.
    """
    for flag, number in (('--stall-limit', stall_limit_s), ('--webcam-fps', camera.webcam_fps),
                         *(('--webcam-size', side) for side in camera.webcam_size or ())):
        if number is not None and not number > 0:
            raise InputError(f'{flag} is {number:g} but must be above 0')
    found = source_names(names)
    [(shown, count)] = Counter(without_password(name) for name, _ in found).most_common(1)
    if count > 1:
        raise InputError(f'the source {shown} is named twice but a stream has one detector: name it once')
    sources = [open_source(name, every_frame, stall_limit_s, camera, queue) for name, queue in found]
    counts = Counter(source.name for source in sources)
    # Files of the same name in several folders go by their paths.
    return [replace(source, name=name) if counts[source.name] > 1 and isinstance(source, RecordedSource) else source
            for (name, _), source in zip(found, sources, strict=True)]


class RunProgress:
    """Tracks the position in each source, from ``positions`` on, and writes the state file of ``detect_sources``.

    ``path`` None writes nothing; ``every`` is the number of batches between two writes.
    """

    def __init__(self, detector: OnlineDetector, sources: Sequence[Source], stride: int, path: str | None, every: int,
                 positions: Mapping[str, Position]) -> None:
        self._path, self._every, self._stride = path, every, stride
        self._signature = detector.signature() if path else ''
        self._num_frames = {source.name: source.num_frames for source in sources}
        self._recordings = {source.name: _recording(source) for source in sources} if path else {}
        self._positions = dict(positions)
        self._streams, self._num_batches = detector.bank.held() if path else [], 0

    def keep(self, frames: Sequence[StreamFrame], streams: list[HeldStream]) -> None:
        """Record a batch whose results are written, and the streams after it."""
        for frame in frames:
            self._positions[frame.stream] = Position(
                frame.frame_id, self._num_frames[frame.stream], self._stride, time.time(),
                self._recordings.get(frame.stream))
        self._streams = streams
        self._num_batches += bool(frames)
        if frames and self._num_batches % self._every == 0:
            self.write()

    def write(self) -> None:
        """Write the state file, if there is a path."""
        if self._path:
            write_state(self._path, self._signature, self._streams, self._positions)


def resume(detector: OnlineDetector, path: str, sources: Sequence[Source], stride: int) -> dict[str, Position]:
    """Restore the detector's streams, those of other sources as far as the capacity allows; return the positions.

    Raises:
        InputError: the file cannot be read or is of another model, or a source is another recording, or has another
            length or stride.
    """
    streams, positions = read_state(path, detector.signature())
    # OnlineDetector.save_state knows no sources, only the last frame of each stream.
    positions = positions or {
        stream.stream_id: Position(stream.frame_id, None, None, time.time())  # type: ignore[misc]
        for stream in streams}
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
        elif position.stride not in (None, stride):
            raise InputError(f'--stride is {stride} but {path} was saved with {position.stride}: give the same '
                             'stride, or start without the state')
    names = {source.name for source in sources}
    ours_last = sorted(streams, key=lambda stream: stream.stream_id in names)
    detector.bank.restore(ours_last[-detector.bank.capacity:])
    return positions


def _recording(source: Source) -> str | None:
    return fingerprint(source.files) if source.is_recorded and source.files else None


def first_frames(positions: Mapping[str, Position], sources: Sequence[Source], stride: int) -> dict[str, int]:
    """The next frame id of each source; a live source skips the frames it gave since the run stopped.

    A clock that was set back meanwhile skips none: frame ids never run backwards.
    """
    now = time.time()
    return {source.name: position.frame_id + stride + (
                0 if source.is_recorded else max(0, round((now - position.seen_at) * source.fps)))
            for source in sources if (position := positions.get(source.name))}


def _detect(detector: OnlineDetector, stream: Generator[list[StreamFrame]], score_thr: float,
            stages: StageTimes) -> Generator[tuple[list[_Detected], list[HeldStream]]]:
    """Yield per batch its frames with their detections and reset reasons, and all streams after it."""
    with closing(stream):
        for frames in stream:
            with stages.measure('detect'):
                samples = detector.detect_batch([frame.image for frame in frames], [frame.stream for frame in frames],
                                                [frame.frame_id for frame in frames])
                found = [(frame, detections_of(sample, detector.classes, score_thr), sample.metainfo['reset'])
                         for frame, sample in zip(frames, samples, strict=True)]
            yield found, detector.bank.held()


def _draw(outputs: Outputs, stream: Generator[tuple[list[_Detected], list[HeldStream]]],
          stages: StageTimes) -> Generator[
              tuple[list[tuple[StreamFrame, list[dict], str | None, np.ndarray | None]], list[HeldStream]]]:
    """Add the drawn pictures."""
    with closing(stream):
        for batch, streams in stream:
            with stages.measure('draw'):
                drawn = [(*detected, outputs.draw(*detected[:2])) for detected in batch]
            yield drawn, streams
