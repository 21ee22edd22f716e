"""Detections in the formats of other tools, written at the end of a run, also of an interrupted one."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from tsm_det.errors import InputError
from tsm_det.video.cameras import StreamFrame
from tsm_det.video.coco_records import write_coco
from tsm_det.video.csv_rows import write_csv
from tsm_det.video.cvat_tracks import write_cvat
from tsm_det.video.mot_rows import write_mot
from tsm_det.video.sinks import JsonLinesSink
from tsm_det.video.sources import Source
from tsm_det.video.stream_paths import stream_paths


class Exports(NamedTuple):
    """Where to write which format: a folder, a file, a file, and a file or for several streams a folder."""

    mot: str | None = None
    coco: str | None = None
    csv: str | None = None
    cvat: str | None = None

    def mot_paths(self, streams: Sequence[str]) -> dict[str, Path]:
        """The MOTChallenge file of each stream."""
        return stream_paths(streams, self.mot and f'{self.mot}/', '.txt', '--mot')

    def cvat_paths(self, streams: Sequence[str]) -> dict[str, Path]:
        """The CVAT file of each stream."""
        return stream_paths(streams, self.cvat, '.xml', '--cvat')

    def records_path(self) -> Path:
        """Where the frames are collected during the run: where an earlier run did, else beside the first output."""
        paths = [path.with_name(f'{path.name}.part.jsonl') for path in map(Path, filter(None, self))]
        return next((path for path in paths if path.exists()), paths[0])

    def paths(self, streams: Sequence[str]) -> list[Path]:
        """All files.

        Raises InputError when there are several streams and one file for them.
        """
        if not any(self):
            return []
        return [*self.mot_paths(streams).values(), *map(Path, filter(None, (self.coco, self.csv))),
                *self.cvat_paths(streams).values(), self.records_path()]


NO_EXPORTS = Exports()


class ExportSink(AbstractContextManager):
    """Collects the detections of a run, and exports them on exit.

    A record is a line of ``JsonLinesSink`` with the ``size`` [width, height] of the frame and its ``file``, a video or
    an image; None for a camera.

    Args:
        exports: at least one.
        sources: of the run.
        classes: names of the labels.
        last_frames: see ``JsonLinesSink``.
        is_resumable: keep the collected lines after the run, for the one that resumes it.

    Raises InputError when there are exports of the run to resume, but not its collected lines.
    """

    def __init__(self, exports: Exports, sources: Sequence[Source], classes: Sequence[str],
                 last_frames: Mapping[str, int] | None = None, is_resumable: bool = False) -> None:
        self._exports, self._classes, self._is_resumable = exports, classes, is_resumable
        self._sources = {source.name: source for source in sources}
        _check_records(exports, [*self._sources], last_frames)
        self._lines = JsonLinesSink(exports.records_path(), last_frames)

    def write(self, frame: StreamFrame, reset: str | None, detections: Sequence[Mapping]) -> None:
        """Collect one frame; raise InputError when the file cannot be written."""
        height, width = frame.image.shape[:2]
        files = self._sources[frame.stream].files
        file = files[min(frame.frame_id, len(files) - 1)] if files else None  # a video has all frames
        self._lines.write(frame.frame_id, frame.time_s, frame.stream, reset, detections, size=[width, height],
                          file=file and os.path.abspath(file))

    def __exit__(self, *error: object) -> None:
        self._lines.__exit__(*error)
        exports, streams = self._exports, list(self._sources)
        if exports.coco:
            write_coco(self._records(), exports.coco, self._classes)
        if exports.csv:
            write_csv(self._records(), exports.csv)
        if exports.mot:
            write_mot(self._own_records(), exports.mot_paths(streams), self._classes)
        if exports.cvat:
            write_cvat(self._own_records(), exports.cvat_paths(streams), {
                name: source.num_frames for name, source in self._sources.items()}, self._classes)
        if not self._is_resumable:
            self._lines.path.unlink()

    def _records(self) -> Iterator[dict]:
        with self._lines.path.open(encoding='utf-8') as lines:
            yield from map(json.loads, lines)

    def _own_records(self) -> Iterator[dict]:
        """Without those of other sources of the run that this one resumes, whose files stay."""
        return (record for record in self._records() if record['stream'] in self._sources)


def _check_records(exports: Exports, streams: Sequence[str], last_frames: Mapping[str, int] | None) -> None:
    """Refuse to replace exports of the interrupted run by the rest of the frames; log where new ones lack frames."""
    records = exports.records_path()
    if records.exists() or not any(last >= 0 for last in (last_frames or {}).values()):
        return
    if old := [path for path in exports.paths(streams) if path.is_file()]:
        raise InputError(f'{records}, from which {old[0]} would be written again with the new frames, is missing: '
                         'name another file for the rest of the frames')
    logging.getLogger(__name__).warning('the exports hold only the frames after the saved state: %s, which holds the '
                                        'frames before it, is missing', records)
