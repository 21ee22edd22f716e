"""Detect in sources and write the results: the library side of tools/detect_video.py."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from tsm_det.errors import InputError
from tsm_det.locks import locked
from tsm_det.stream_bank import HeldStream
from tsm_det.streams.detections import KEEP_ALL, Selection, detections_of
from tsm_det.streams.offline_detector import OfflineDetector
from tsm_det.streams.offline_sources import check_recordings, detect_recordings
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.streams.progress import RunProgress, first_frames, resume
from tsm_det.video.batches import MOST_OPEN, batches
from tsm_det.video.cameras import StreamFrame
from tsm_det.video.connection import DEFAULT_CAMERA, CameraSettings, without_password
from tsm_det.video.exports import NO_EXPORTS, Exports
from tsm_det.video.outputs import Outputs, check_outputs
from tsm_det.video.prefetch import prefetch
from tsm_det.video.sinks import DEFAULT_ENCODING, Encoding
from tsm_det.video.source_names import source_names
from tsm_det.video.sources import RecordedSource, Source, in_levels, open_source, printable
from tsm_det.video.stage_times import StageTimes

_Detected = tuple[StreamFrame, list[dict], str | None]  # with detections and the reason of a reset
_Drawn = tuple[StreamFrame, list[dict], str | None, np.ndarray | None]  # with the picture


def detect_sources(detector: OnlineDetector | OfflineDetector, sources: Sequence[Source], out: str | None = None,
                   json_lines: str | None = None, score_thr: float = 0.3, show: bool = False,
                   stride: int | Sequence[int] = 1, max_frames: int | None = None, save_state: str | None = None,
                   save_every: int = 100, resume_state: str | None = None, most_open: int = MOST_OPEN,
                   encoding: Encoding = DEFAULT_ENCODING, stages: StageTimes | None = None,
                   exports: Exports = NO_EXPORTS, selection: Selection = KEEP_ALL, fill: bool = False,
                   on_frame: Callable[[StreamFrame, str | None], object] = lambda *_: None) -> int:
    """Run sources through a detector, one stream per source; decoding, detecting, drawing and writing overlap.

    Args:
        detector: its streams of these sources start over, or continue from ``resume_state``. An OfflineDetector takes
            recordings only, one after the other, and has no state to save.
        sources: from :func:`open_sources`.
        out: mp4 file with the detections drawn in, shown at the times of the frames; with several sources, or if it is
            a folder or ends in ``/``, a folder of such files.
        json_lines: JSON lines file, one line per frame; or a folder of one per source, if it is a folder or ends in
            ``/``.
        score_thr: lowest score of a detection.
        show: draw into windows too; the key q ends the run.
        stride: detect in every ``stride``-th frame; a list has one number per source.
        max_frames: largest number of frames per source; None for all.
        save_state: state file, written atomically every ``save_every`` batches and at the end, also after Ctrl-C; or a
            folder of one per source, as for ``json_lines``.
        resume_state: state file to continue from, and to save to without ``save_state``; in a folder, a source without
            a file starts with its first frame. ``json_lines`` is truncated at its frames and appended to, and so are
            the exports; an existing video is renamed. Frames that a live source gave meanwhile are a gap in its frame
            ids.
        most_open: largest number of recorded sources open at a time.
        encoding: encoder of ``out`` and its preset.
        stages: gets how long decoding, detecting, drawing and writing took.
        exports: files in the formats of other tools, written at the end, also after Ctrl-C.
        selection: which detections to keep.
        fill: put predicted boxes of the tracks into the frames that ``stride`` leaves out.
        on_frame: called with each frame that is written, and the reason of its reset.

    Returns the number of frames.

    Raises:
        InputError: a source cannot be read, or a file cannot be written, is a source or another run's output; results
            until then are kept. Or an OfflineDetector got a live source, a state file or ``fill``; or there is no
            tracker to fill with.
    """
    strides = _per_source(sources, stride)
    check_options(detector, [*strides.values()], save_every, score_thr, fill)
    _at_least_one(max_frames=max_frames, at_once=most_open)
    selection.check(detector.classes)
    out, json_lines, save_state, resume_state, *exported = (
        path and os.path.expanduser(path) for path in (out, json_lines, save_state, resume_state, *exports))
    save_state, exports = save_state or resume_state, Exports(*exported)
    if isinstance(detector, OfflineDetector):
        check_recordings(sources, save_state, fill)
    sources = [in_levels(source, detector.model.dataset_meta.get('value_range')) for source in sources]
    written = check_outputs(sources, out, json_lines, save_state, exports)
    positions = {} if not resume_state or isinstance(detector, OfflineDetector) else resume(
        detector, resume_state, sources, strides, fill)
    last = {name: position.frame_id for name, position in positions.items()} if resume_state else None
    steps = {name: 1 if fill else number for name, number in strides.items()}
    starts = first_frames(positions, sources, steps)
    stages = stages or StageTimes()
    with ExitStack() as stack:
        stack.enter_context(locked(*written))
        outputs = stack.enter_context(Outputs(sources, out, json_lines, show, steps, last, encoding, exports,
                                              detector.classes, save_state is not None))
        if isinstance(detector, OfflineDetector):
            detected = stages.timed('decode and detect', detect_recordings(
                detector, sources, strides, score_thr, selection, max_frames))
        else:
            detected = _detect(detector, batches(sources, starts, steps, max_frames, most_open, stages), strides,
                               score_thr, selection, stages)
        results = stack.enter_context(closing(prefetch(_draw(outputs, prefetch(detected), stages))))
        progress = RunProgress(detector, sources, strides, fill,  # type: ignore[arg-type]
                               save_state, save_every, positions)
        stack.callback(progress.write)
        bar = stack.enter_context(tqdm(total=_frames_to_come(sources, starts, steps, max_frames), unit='frame',
                                       mininterval=1))
        return _write(results, sources, outputs, progress, bar, stages, on_frame)


def check_options(detector: OnlineDetector | OfflineDetector, strides: Sequence[int], save_every: int,
                  score_thr: float, fill: bool) -> None:
    """Raise InputError when an option is wrong whatever the sources."""
    _at_least_one(stride=min(strides), save_every=save_every)
    if not 0 <= score_thr <= 1:
        raise InputError(f'--score-thr is {score_thr} but must be from 0 to 1')
    if fill and isinstance(detector, OnlineDetector) and detector.tracker is None:
        raise InputError('--fill predicts the boxes of tracks but there is no tracker: give --track')


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
    return [replace(source, name=printable(name))
            if counts[source.name] > 1 and isinstance(source, RecordedSource) else source
            for (name, _), source in zip(found, sources, strict=True)]


def _at_least_one(**options: int | None) -> None:
    for name, number in options.items():
        if number is not None and number < 1:
            raise InputError(f'--{name.replace("_", "-")} is {number} but must be at least 1')


def _per_source(sources: Sequence[Source], stride: int | Sequence[int]) -> dict[str, int]:
    """The stride of each source by its name."""
    numbers = [stride] * len(sources) if isinstance(stride, int) else list(stride)
    if len(numbers) != len(sources):
        raise InputError(f'--stride has {len(numbers)} numbers for {len(sources)} sources: give one, or one per source')
    return {source.name: number for source, number in zip(sources, numbers, strict=True)}


def _frames_to_come(sources: Sequence[Source], starts: Mapping[str, int], steps: Mapping[str, int],
                    max_frames: int | None) -> int | None:
    """The number of frames of all sources; None when one does not know it."""
    numbers = [max_frames if source.num_frames is None else
               len(range(starts.get(source.name, 0), source.num_frames, steps[source.name])[:max_frames])
               for source in sources]
    return None if None in numbers else sum(filter(None, numbers))


def _detect(detector: OnlineDetector, stream: Generator[list[StreamFrame]], strides: Mapping[str, int],
            score_thr: float, selection: Selection,
            stages: StageTimes) -> Generator[tuple[list[_Detected], list[HeldStream]]]:
    """Yield per batch its frames with their detections and reset reasons, and all streams after it."""
    with closing(stream):
        for frames in stream:
            with stages.measure('detect'):
                due = [frame for frame in frames if _is_due(detector, frame, strides[frame.stream])]
                samples = dict(zip((frame.stream for frame in due), detector.detect_batch(
                    [frame.image for frame in due], [frame.stream for frame in due],
                    [frame.frame_id for frame in due]), strict=True))
                found = []
                for frame in frames:
                    sample = samples.get(frame.stream) or detector.predict(
                        frame.stream, frame.frame_id, strides[frame.stream])
                    found.append((frame, detections_of(sample, detector.classes, score_thr, selection),
                                  sample.metainfo['reset']))
            yield found, detector.bank.held()


def _is_due(detector: OnlineDetector, frame: StreamFrame, stride: int) -> bool:
    """Whether a frame is a stride after the last detected one, or cannot continue its stream."""
    _, [reset] = detector.bank.recall([frame.stream], [frame.frame_id], [frame.image.shape[:2]])
    held = detector.bank.get(frame.stream)
    return reset is not None or held is None or frame.frame_id - held.frame_id >= stride


def _draw(outputs: Outputs, stream: Generator[tuple[list[_Detected], list[HeldStream]]],
          stages: StageTimes) -> Generator[tuple[list[_Drawn], list[HeldStream]]]:
    """Add the drawn pictures."""
    with closing(stream):
        for batch, streams in stream:
            with stages.measure('draw'):
                drawn = [(*detected, outputs.draw(*detected[:2])) for detected in batch]
            yield drawn, streams


def _write(results: Iterable[tuple[list[_Drawn], list[HeldStream]]], sources: Sequence[Source], outputs: Outputs,
           progress: RunProgress, bar: tqdm, stages: StageTimes,
           on_frame: Callable[[StreamFrame, str | None], object]) -> int:
    """Write the results of each batch, then its place in the sources; return the number of frames."""
    num_frames = 0
    for batch, streams in results:
        with stages.measure('write'):
            for drawn in batch:
                outputs.write(*drawn)
                on_frame(drawn[0], drawn[2])
            frames = [frame for frame, *_ in batch]
            outputs.finish_others({frame.stream for frame in frames})
            progress.keep(frames, streams)
        num_frames += len(batch)
        stages.num_frames += len(batch)
        bar.update(len(batch))
        if dropped := sum(getattr(source, 'dropped', 0) for source in sources):
            bar.set_postfix(dropped=dropped, refresh=False)
    return num_frames
