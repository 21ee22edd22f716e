"""Convert a folder of videos, each with its boxes in a CSV file, to CocoVID."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport, number_classes
from tsm_det.cocovid.convert.frame_files import parse_number, parse_track, video_frames
from tsm_det.cocovid.convert.frame_numbers import RowNumbers, find_first_frame
from tsm_det.errors import InputError

COLUMNS = ('frame', 'label', 'x', 'y', 'width', 'height')
SUFFIXES = ('.mp4', '.mov', '.avi', '.mkv')


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
            ``y`` (top left), ``width``, ``height`` (displayed px), and perhaps ``track``.
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
    sources = [(video, table, read_rows(table)) for video, table in _pairs(Path(folder))]
    labels = {row.label: f'{table.name} line {row.line}' for _, table, rows in sources for row in rows}
    categories = number_classes(labels, classes, ignore)
    frames = [video_frames(video, video.name) for video, *_ in progress(sources)]
    first_frame = _first_frame([RowNumbers(table, {row.frame for row in rows}, its[-1].frame_id)
                                for (_, table, rows), its in zip(sources, frames, strict=True)], first_frame)
    builder = CocoVIDBuilder(categories, max_gap, first_frame, ignore=ignore, labelled_frames_only=labelled_frames_only)
    if first_frame:
        builder.report.notes.append(f'frames in the CSV files count from {first_frame}')
    for (video, table, rows), its in zip(sources, frames, strict=True):
        builder.add_video(video.stem, its, [row._replace(frame=row.frame - first_frame) for row in rows], table)
    return builder.write(out)


def read_rows(path: Path) -> list[Box]:
    """Return the boxes of a CSV file in its order.

    Raises InputError when a column or a value is missing, or a value is not a number.
    """
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file, skipinitialspace=True, restkey='surplus')
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise InputError(f'{path} has no column {", ".join(missing)}: its first line must be '
                                 f'{",".join(COLUMNS)} (optionally with track)')
            return [_row(record, f'{path} line {reader.line_num}', reader.line_num) for record in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f'{path} cannot be read ({error}): save it as CSV in UTF-8') from error


def _first_frame(files: list[RowNumbers], given: int | None) -> int:
    """Where no row tells, files count from 0; but rows of several frames that begin with frame 1 need an answer."""
    frames = {frame for file in files for frame in file.frames}
    return find_first_frame(files, given, None if len(frames) > 1 and min(frames) == 1 else 0)


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Pair each video with its CSV file by name; ignore hidden files and other kinds of files."""
    if not folder.is_dir():
        raise InputError(f'{folder} is not a folder: name one that holds NAME.mp4 and NAME.csv')
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith('.'))
    movies = [path for path in files if path.suffix.lower() in SUFFIXES]
    videos = {path.stem: path for path in movies}
    tables = {path.stem: path for path in files if path.suffix.lower() == '.csv'}
    if not movies:
        raise InputError(f'{folder} holds no video ({", ".join(SUFFIXES)}): name the folder they are in')
    if twice := [path.name for path in movies if videos[path.stem] != path]:
        raise InputError(f'{folder} has another video with the name of {", ".join(twice)}: rename one')
    if alone := sorted(videos.keys() - tables.keys()):
        raise InputError(f'{folder} has no CSV file for the video {", ".join(alone)}: add it (with the column '
                         'names alone if nothing is visible), or move the video elsewhere')
    if alone := sorted(tables.keys() - videos.keys()):
        raise InputError(f'{folder} has no video for {", ".join(alone)}.csv: add it, or move the CSV file elsewhere')
    return [(videos[name], tables[name]) for name in sorted(videos)]


def _row(record: dict, place: str, line: int) -> Box:
    if 'surplus' in record or None in record.values():
        raise InputError(f'{place} has more or fewer values than the first line has names: fix the row')
    frame, *box = (parse_number(record[name], name, place, whole=name == 'frame')
                   for name in ('frame', 'x', 'y', 'width', 'height'))
    label, track = record['label'].strip(), record.get('track')
    if not label or (track is not None and not track.strip()):
        raise InputError(f'{place} has no label or no track: fill it in, or take the track column out of the file')
    return Box(line, frame, label, tuple(box), parse_track(track))
