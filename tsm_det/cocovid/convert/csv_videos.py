"""Convert a folder of videos, each with its boxes in a CSV file, to CocoVID."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport, number_classes
from tsm_det.cocovid.convert.csv_table import read_table
from tsm_det.cocovid.convert.frame_files import parse_track, video_frames
from tsm_det.cocovid.convert.frame_numbers import RowNumbers, find_first_frame
from tsm_det.cocovid.convert.video_pairs import pair_videos


def convert_csv_videos(folder: str | os.PathLike, out: str | os.PathLike, classes: list[str] | None = None,
                       max_gap: int = 5, first_frame: int | None = None, ignore: Sequence[str] = (),
                       labelled_frames_only: bool = False,
                       progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of a folder of videos and CSV files of the same names.

    Every frame that can be decoded becomes an image, with a box or without. Every row becomes an annotation, clipped to
    the frame. Rows of frames that are not in the video, and boxes that are not finite or have less than 1 px inside the
    frame, are dropped and listed. Boxes without a ``track``, or with a negative one, are linked into tracks.

    Args:
        folder: holds ``NAME.mp4`` (or .mov, .avi, .mkv) and ``NAME.csv`` with the columns ``frame``, ``label``, ``x``,
            ``y`` (top left), ``width``, ``height`` (displayed px), and perhaps ``track``; other
            names and separators: :func:`~tsm_det.cocovid.convert.csv_table.read_table`.
        out: the JSON file to write; its file names are relative to ``folder``.
        classes: the categories in order; None takes the labels of the folder, sorted.
        max_gap: largest gap in a linked track, see :func:`~tsm_det.cocovid.linking.link_tracks`.
        first_frame: number of the first frame in the CSV files, 0 or 1; None finds it out from their rows.
        ignore: labels of regions in which nothing counts.
        labelled_frames_only: leave out frames without a row, because nobody labelled them.
        progress: wraps the list of videos while they are decoded, e.g. ``tqdm``.

    Raises InputError when a video or CSV file lacks its partner or cannot be read, a label is not in ``classes``, or
    nothing tells whether frames count from 0 or from 1.
    """
    sources = [(video, table, read_rows(table)) for video, table in pair_videos(Path(folder), '.csv')]
    labels = {row.label: f'{table.name} line {row.line}' for _, table, rows in sources for row in rows
              if row.label is not None}
    categories = number_classes(labels, classes, ignore)
    frames = [video_frames(video, video.name) for video, *_ in progress(sources)]
    given, first_frame = first_frame, _first_frame([RowNumbers(table, {row.frame for row in rows}, its[-1].frame_id)
                                for (_, table, rows), its in zip(sources, frames, strict=True)], first_frame)
    builder = CocoVIDBuilder(categories, max_gap, first_frame, ignore=ignore, labelled_frames_only=labelled_frames_only)
    if first_frame:
        builder.report.notes.append(f'frames in the CSV files count from {first_frame}')
    elif given is None and not any(row.frame == 0 for *_, rows in sources for row in rows):
        builder.report.notes.append('frames in the CSV files are taken to count from 0, as no row is of frame 0 or '
                                    'beyond the last: give --first-frame 1 if they count from 1')
    for (video, table, rows), its in zip(sources, frames, strict=True):
        builder.add_video(video.stem, its, [row._replace(frame=row.frame - first_frame) for row in rows], table)
    return builder.write(out)


def read_rows(path: Path) -> list[Box]:
    """Return the boxes of a CSV file in its order; raise InputError when it cannot be understood."""
    return [Box(row.line, row.frame, row.label, row.box, parse_track(row.track)) for row in read_table(path)]


def _first_frame(files: list[RowNumbers], given: int | None) -> int:
    """Where no row tells, files count from 0; but rows of several frames that begin with frame 1 need an answer."""
    frames = {frame for file in files for frame in file.frames}
    return find_first_frame(files, given, None if len(frames) > 1 and min(frames) == 1 else 0)
