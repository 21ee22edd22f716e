"""The recordings of a fleet run: what they are called, where they lie, and one detected like by detect_video.py."""

from __future__ import annotations

import os
import posixpath
import socket
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tsm_det.errors import InputError
from tsm_det.export.exported_detector import open_detector
from tsm_det.streams.detect_sources import detect_sources, open_sources
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.video.cameras import StreamFrame
from tsm_det.video.exports import Exports
from tsm_det.video.remote_files import is_remote, listed, local_copies
from tsm_det.video.source_names import source_names

# What can be written beside the JSON lines, and the end of its name.
FORMATS = {'mp4': '.drawn.mp4', 'mot': '.mot', 'coco': '.coco.json', 'csv': '.csv', 'cvat': '.cvat.xml'}


class Job(NamedTuple):
    """What to do with each recording; arguments of ``open_detector`` and ``detect_sources``."""

    out: str
    config: str
    checkpoint: str | None
    device: str = 'cpu'
    engine: str = 'eager'
    cfg_options: dict | None = None
    trust_checkpoint: bool = False
    tracker: str | None = None
    score_thr: float = 0.3
    stride: int = 1
    fill: bool = False
    save_every: int = 100
    formats: Sequence[str] = ()
    max_gap: int | None = None

    def anywhere(self) -> Job:
        """The same job for a process in another folder."""
        return self._replace(**{key: os.path.abspath(getattr(self, key)) for key in ('out', 'config', 'checkpoint')
                                if key == 'out' or os.path.exists(getattr(self, key) or '')})

    def detector(self, capacity: int = 1) -> OnlineDetector:
        """Load the detector for so many streams. Raises InputError when it has no state to save."""
        detector = open_detector(self.config, self.checkpoint, self.device, capacity, self.max_gap, self.cfg_options,
                                 self.engine, self.trust_checkpoint, self.tracker)
        if not isinstance(detector, OnlineDetector):
            raise InputError(f"{self.config} has direction='both', whose runs cannot be continued: use tools/"
                             'detect_video.py')
        return detector


def find_recordings(places: Sequence[str]) -> dict[str, str]:
    """The videos of files, folders, patterns, lists ``NAME.txt`` and addresses such as ``s3://bucket/folder/*.mp4``.

    Returns:
        The path or address of each by its name: where it lies, from the folder that all share.

    Raises InputError when a place has no video or cannot be listed.
    """
    found = [video if is_remote(video) else os.path.abspath(video)
             for name, _ in source_names(places) for video in listed(name)]
    full = [posixpath.join('/', *video.split('://')) for video in found]
    shared = os.path.commonpath([os.path.dirname(path) for path in full])
    return {os.path.relpath(path, shared): video for path, video in zip(full, found, strict=True)}


def detect_recording(detector: OnlineDetector, job: Job, name: str, video: str,
                     on_frame: Callable[[StreamFrame, str | None], object] = lambda *_: None) -> dict:
    """Detect in one recording, from where an earlier attempt stopped, and write ``OUT/NAME.jsonl`` and the formats.

    Returns the row of the manifest: status 'done' or 'failed', with the sentence that says why. What another attempt
    would continue from stays until :func:`clean_up`. ``on_frame`` as of ``detect_sources``.
    """
    begin, stem = time.time(), _stem(job, name)
    os.makedirs(os.path.dirname(stem), exist_ok=True)
    state, lines = f'{stem}.state', f'{stem}.jsonl'
    drawn = stem + FORMATS['mp4'] if 'mp4' in job.formats else None
    row = {'name': name, 'video': video, 'host': socket.gethostname(), 'begin': round(begin, 3)}
    detector.bank.clear()
    try:
        with local_copies([video]) as names:
            detect_sources(
                detector, open_sources(names), drawn, lines, job.score_thr, stride=job.stride, fill=job.fill,
                save_state=state, save_every=job.save_every, exports=_exports(job, name),
                resume_state=state if os.path.exists(state) else None, on_frame=on_frame)
    except Exception as error:  # one recording must not end the others
        reason = error if isinstance(error, InputError) else f'the detector failed ({type(error).__name__}: {error})'
        return row | {'status': 'failed', 'seconds': round(time.time() - begin, 3), 'error': str(reason)}
    with open(lines, encoding='utf-8') as written:
        return row | {'status': 'done', 'seconds': round(time.time() - begin, 3), 'frames': sum(1 for _ in written)}


def clean_up(job: Job, name: str) -> None:
    """Remove the state file of a recording that is done, and what its formats were made from."""
    os.unlink(f'{_stem(job, name)}.state')
    exports = _exports(job, name)
    if any(exports):
        exports.records_path().unlink()


def _stem(job: Job, name: str) -> str:
    return os.path.join(job.out, name)


def _exports(job: Job, name: str) -> Exports:
    return Exports(**{kind: _stem(job, name) + FORMATS[kind] for kind in job.formats if kind != 'mp4'})
