"""From sources to files: what tools/detect_video.py calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import NamedTuple

from tqdm import tqdm

from tsm_det.errors import InputError
from tsm_det.stream_bank import HeldStream
from tsm_det.streams.detections import detections_of
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.streams.progress import Progress, first_frames, resume
from tsm_det.video.batches import StreamFrame, rounds
from tsm_det.video.connection import without_password
from tsm_det.video.outputs import Outputs, check_apart
from tsm_det.video.prefetch import ahead
from tsm_det.video.sources import RecordedSource, Source, open_source


class Detected(NamedTuple):
    """A round after the detector: its frames, what was found in each, why its stream began afresh, all streams."""

    frames: list[StreamFrame]
    found: list[list[dict]]
    resets: list[str | None]
    streams: list[HeldStream]


def detect_sources(detector: OnlineDetector, sources: Sequence[Source], out: str | None = None,
                   json_lines: str | None = None, score_thr: float = 0.3, show: bool = False, stride: int = 1,
                   max_frames: int | None = None, save_state: str | None = None, save_every: int = 100,
                   resume_state: str | None = None) -> int:
    """Run sources through a detector, a stream each; decoding, detecting and writing work at the same time.

    Args:
        detector: whose streams of these sources start afresh, or where ``resume_state`` says.
        sources: from :func:`open_sources`.
        out: mp4 file with the detections drawn in; with several sources a folder of such files.
        json_lines: file with one line of JSON a frame.
        score_thr: detections below it are left out.
        show: draw into windows too; the key q ends it.
        stride: look at every so many frames.
        max_frames: stop after so many of each source; None is all.
        save_state: file for what the detector remembers: whole at any time, written every ``save_every`` rounds and
            at the end, after Ctrl-C too.
        resume_state: such a file: go on after the frames that it was saved at, and save there where ``save_state``
            names no other. ``json_lines`` is cut there and written on; a video that is there already is kept under
            another name. What a live source gave meanwhile is a gap in its frame ids.

    Returns:
        How many frames were seen.

    Raises:
        InputError: a source cannot be read, a file cannot be written or is a source; what was detected until then is
            kept.
    """
    for flag, number in (('--stride', stride), ('--max-frames', max_frames), ('--save-every', save_every)):
        if number is not None and number < 1:
            raise InputError(f'{flag} is {number} but a number from 1 is needed: leave it out or raise it')
    if not 0 <= score_thr <= 1:
        raise InputError(f'--score-thr is {score_thr} but a number from 0 to 1 is needed: leave it out or change it')
    save_state = save_state or resume_state
    check_apart(sources, out, json_lines, save_state)
    places = resume(detector, resume_state, sources, stride) if resume_state else {}
    last = {name: place.frame_id for name, place in places.items()} if resume_state else None
    starts = first_frames(places, sources, stride)
    num_frames = 0
    with ExitStack() as stack:
        outputs = stack.enter_context(Outputs(sources, out, json_lines, show, stride, last))
        batches = rounds(sources, starts, stride, max_frames)
        results = stack.enter_context(closing(ahead(_detect(detector, batches, score_thr))))
        total = _total(sources, starts, stride, max_frames)
        bar = stack.enter_context(tqdm(total=total, unit='frame', mininterval=1))
        progress = stack.enter_context(Progress(detector, sources, stride, save_state, save_every, places))
        for result in results:
            for frame, found, reset in zip(result.frames, result.found, result.resets, strict=True):
                outputs.write(frame, found, reset)
            progress.keep(result.frames, result.streams)
            num_frames += len(result.frames)
            bar.update(len(result.frames))
            if dropped := sum(getattr(source, 'dropped', 0) for source in sources):
                bar.set_postfix(dropped=dropped, refresh=False)
    return num_frames


def open_sources(names: Sequence[str], every_frame: bool = False, stall_limit_s: float = 10.0) -> list[Source]:
    """Open sources for :func:`detect_sources`, each under a name of its own.

    Args:
        names: see ``open_source``, as for the rest.

    Raises:
        InputError: one cannot be opened, or is named twice, perhaps with two passwords.
    """
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise InputError(f'the source {without_password(twice[0])} is named twice but a stream has one detector: '
                         'name it once')
    if not stall_limit_s > 0:
        raise InputError(f'--stall-limit is {stall_limit_s:g} s but a time above 0 is needed: raise it')
    sources = [open_source(name, every_frame, stall_limit_s) for name in names]
    counts = Counter(source.name for source in sources)
    # Files of one name in several folders: their paths tell them apart.
    sources = [replace(source, name=name) if counts[source.name] > 1 and isinstance(source, RecordedSource) else source
               for name, source in zip(names, sources, strict=True)]
    if twice := [name for name, count in Counter(source.name for source in sources).items() if count > 1]:
        raise InputError(f'two sources are called {twice[0]} but a stream has one detector: name it once')
    return sources


def _detect(detector: OnlineDetector, batches: Iterator[list[StreamFrame]], score_thr: float) -> Iterator[Detected]:
    with closing(batches):
        for frames in batches:
            samples = detector.detect_batch([frame.image for frame in frames], [frame.stream for frame in frames],
                                            [frame.frame_id for frame in frames])
            yield Detected(frames, [detections_of(sample, detector.classes, score_thr) for sample in samples],
                           [sample.metainfo['reset'] for sample in samples], detector.bank.held())


def _total(sources: Sequence[Source], starts: dict[str, int], stride: int, max_frames: int | None) -> int | None:
    """How many frames there will be, None when nobody knows."""
    numbers = [max_frames if source.num_frames is None else
               min(filter(lambda number: number is not None, (
                   max_frames, len(range(starts.get(source.name, 0), source.num_frames, stride)))))
               for source in sources]
    return None if None in numbers else sum(numbers)

