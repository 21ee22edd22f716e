"""Convert a folder of videos, each with its boxes in a CSV file, to CocoVID."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, ConversionReport, number_classes
from tsm_det.cocovid.convert.frame_files import parse_number, video_frames
from tsm_det.errors import InputError

COLUMNS = ('frame', 'label', 'x', 'y', 'width', 'height')
SUFFIXES = ('.mp4', '.mov', '.avi', '.mkv')


def convert_csv_videos(folder: str | os.PathLike, out: str | os.PathLike, classes: list[str] | None = None,
                       max_gap: int = 5, progress: Callable[[list], Iterable] = iter) -> ConversionReport:
    """Write the CocoVID file of a folder of videos and CSV files of the same names.

    Every frame that can be decoded becomes an image, with a box or without. Every row becomes an annotation, clipped to
    the frame. Rows of frames that are not in the video, and boxes that are not finite or have less than 1 px inside the
    frame, are dropped and listed. Boxes without a ``track`` column are linked into tracks.

    Args:
        folder: holds ``NAME.mp4`` (or .mov, .avi, .mkv) and ``NAME.csv`` with the columns ``frame`` (from 0),
            ``label``, ``x``, ``y`` (top left), ``width``, ``height`` (displayed px), and perhaps ``track``.
        out: the JSON file to write; its file names are relative to ``folder``.
        classes: the categories in order; None takes the labels of the folder, sorted.
        max_gap: largest gap in a linked track, see :func:`~tsm_det.cocovid.linking.link_tracks`.
        progress: wraps the list of videos while they are decoded, e.g. ``tqdm``.

    Raises InputError when a video or CSV file lacks its partner or cannot be read, or a label is not in ``classes``.
    """
    sources = [(video, table, read_rows(table)) for video, table in _pairs(Path(folder))]
    labels = {row.label: f'{table.name} line {row.line}' for _, table, rows in sources for row in rows}
    builder = CocoVIDBuilder(number_classes(labels, classes), max_gap)
    for video, table, rows in progress(sources):
        builder.add_video(video.stem, video_frames(video, video.name), rows, table)
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
    return Box(line, frame, label, tuple(box), track and track.strip())
