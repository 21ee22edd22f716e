"""A folder of videos, each with its boxes in a CSV file, turned into one CocoVID file."""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tsm_det.datasets.linking import link_tracks
from tsm_det.datasets.video_file import VideoFile
from tsm_det.errors import InputError
from tsm_det.json_file import write_json

COLUMNS = ('frame', 'label', 'x', 'y', 'width', 'height')
SUFFIXES = ('.mp4', '.mov', '.avi', '.mkv')


class Row(NamedTuple):
    """A box as written down, xywh in px."""

    line: int  # of the CSV file, whose header is line 1
    frame: int
    label: str
    box: tuple[float, float, float, float]
    track: str | int | None


class Dropped(NamedTuple):
    """A row that became no annotation, and why."""

    video: str
    line: int
    why: str


@dataclass
class Report:
    """What a conversion did; as a string, a short summary."""

    videos: int = 0
    frames: int = 0
    clipped: int = 0
    boxes: Counter[str] = field(default_factory=Counter)  # per label, as are the tracks
    tracks: Counter[str] = field(default_factory=Counter)
    dropped: list[Dropped] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f'{self.videos} videos, {self.frames} frames, {self.boxes.total()} boxes '
                 f'({self.clipped} clipped to the frame), {self.tracks.total()} tracks']
        lines += [f'  {label}: {count} boxes, {self.tracks[label]} tracks' for label, count in self.boxes.items()]
        lines.append(f'{len(self.dropped)} rows dropped')
        lines += [f'  {video} line {line}: {why}' for video, line, why in self.dropped[:20]]
        return '\n'.join([*lines, '  ...'] if len(self.dropped) > 20 else lines)


def convert_csv_videos(folder: str | os.PathLike, out: str | os.PathLike, classes: list[str] | None = None,
                       max_gap: int = 5, progress: Callable[[list], Iterable] = iter) -> Report:
    """Write the CocoVID file of a folder of videos and CSV files of the same names.

    Every frame that can be decoded becomes an image, with a box or without. Every row becomes an annotation,
    clipped to the frame, unless it is listed as dropped: its frame is not in the video, or its box is empty,
    not finite or wholly outside the frame. Boxes without a ``track`` column are linked into tracks.

    Args:
        folder: holds ``NAME.mp4`` (or .mov, .avi, .mkv) and ``NAME.csv`` with the columns ``frame`` (from 0),
            ``label``, ``x``, ``y`` (top left), ``width``, ``height`` (displayed px), and perhaps ``track``.
        out: the JSON file to write; its file names are relative to ``folder``.
        classes: the categories in order; None takes the labels of the folder, sorted.
        max_gap: how many frames without a box a linked track survives; raise it where only every k-th frame
            is annotated.
        progress: wraps the list of videos while they are decoded, e.g. ``tqdm``.

    Raises:
        InputError: a video or CSV file lacks its partner or cannot be read, or a label is not in ``classes``.
    """
    sources = [(video, read_rows(table)) for video, table in _pairs(Path(folder))]
    classes = _classes(sources, classes)
    category_ids = {label: number for number, label in enumerate(classes, start=1)}
    content = {'videos': [], 'images': [], 'annotations': [],
               'categories': [{'id': number, 'name': label} for label, number in category_ids.items()]}
    report = Report(boxes=Counter(dict.fromkeys(classes, 0)))
    instances = {}
    for video, rows in progress(sources):
        opened = VideoFile(video)
        num_frames, size = len(opened), opened.read(0).shape[:2]
        first_image = _add_video(content, video, num_frames, size)
        for row in _linked(_fit(rows, num_frames, size, video.stem, report), max_gap):
            report.boxes[row.label] += 1
            instance = instances.setdefault((video, row.label, row.track), len(instances) + 1)
            content['annotations'].append({
                'id': report.boxes.total(), 'image_id': first_image + row.frame, 'video_id': len(content['videos']),
                'category_id': category_ids[row.label], 'instance_id': instance, 'bbox': row.box,
                'area': row.box[2] * row.box[3], 'iscrowd': 0, 'occluded': False, 'generated': False})
    report.tracks.update(label for _, label, _ in instances)
    report.videos, report.frames = len(content['videos']), len(content['images'])
    write_json(content, out)
    return report


def read_rows(path: Path) -> list[Row]:
    """The boxes of a CSV file in order of time, those of a frame in the order of the file.

    Raises:
        InputError: a column or a value is missing or is no number, or a track has two boxes in a frame.
    """
    try:
        with path.open(newline='', encoding='utf-8-sig') as file:
            reader = csv.DictReader(file, skipinitialspace=True, restkey='surplus')
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise InputError(f'{path} has no column {", ".join(missing)}: its first line must name '
                                 f'{",".join(COLUMNS)} (and track, if tracks are known)')
            rows = [_row(record, f'{path} line {reader.line_num}', reader.line_num) for record in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f'{path} cannot be read ({error}): save it as CSV in UTF-8') from error
    tracks = Counter((row.frame, row.label, row.track) for row in rows if row.track is not None)
    for (frame, label, track), count in tracks.items():
        if count > 1:
            raise InputError(f'{path} has {count} boxes of {label} track {track} in frame {frame}: '
                             'give each object of a frame a track of its own')
    return sorted(rows, key=lambda row: row.frame)


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Each video with its CSV file, by name; hidden files and files of other kinds are left alone."""
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
        raise InputError(f'{folder} has no CSV file for the video {", ".join(alone)}: add it (with nothing but the '
                         'column names if there is nothing to see), or move the video elsewhere')
    if alone := sorted(tables.keys() - videos.keys()):
        raise InputError(f'{folder} has no video for {", ".join(alone)}.csv: add it, or move the CSV file elsewhere')
    return [(videos[name], tables[name]) for name in sorted(videos)]


def _row(record: dict, place: str, line: int) -> Row:
    if 'surplus' in record or None in record.values():
        raise InputError(f'{place} has more or fewer values than the first line has names: mend the row')
    values = {}
    for name in ('frame', 'x', 'y', 'width', 'height'):
        try:
            values[name] = float(record[name])
        except ValueError as error:
            raise InputError(f'{place}: {name} is {record[name]!r} but must be a number: mend the row') from error
    if not (frame := values.pop('frame')).is_integer():
        raise InputError(f'{place}: frame is {record["frame"]!r} but must be a whole number from 0: mend the row')
    label, track = record['label'].strip(), record.get('track')
    if not label or (track is not None and not track.strip()):
        raise InputError(f'{place} has no label or no track: fill it in, or take the track column out of the file')
    return Row(line, int(frame), label, tuple(values.values()), track and track.strip())


def _classes(sources: list[tuple[Path, list[Row]]], classes: list[str] | None) -> list[str]:
    found = {row.label: f'{video.stem}.csv line {row.line}' for video, rows in sources for row in rows}
    classes = sorted(found) if classes is None else list(classes)
    if not classes or len(set(classes)) < len(classes):
        raise InputError(f'the classes are {classes} but need to be different, and at least one: name each once')
    if unknown := sorted(found.keys() - set(classes)):
        raise InputError(f'{found[unknown[0]]} has the label {unknown[0]!r}, which is none of the classes '
                         f'{", ".join(classes)}: add it to the classes or mend the row')
    return classes


def _add_video(content: dict, video: Path, num_frames: int, size: tuple[int, int]) -> int:
    """Append a video and its images; returns the id of the first."""
    shape = {'width': size[1], 'height': size[0]}
    video_id, first_image = len(content['videos']) + 1, len(content['images']) + 1
    content['videos'].append({'id': video_id, 'name': video.stem, **shape})
    content['images'] += [{'id': first_image + frame, 'file_name': video.name, **shape, 'video_id': video_id,
                           'frame_id': frame, 'frame_in_file': frame} for frame in range(num_frames)]
    return first_image


def _fit(rows: list[Row], num_frames: int, size: tuple[int, int], video: str, report: Report) -> list[Row]:
    """The rows that can be kept, clipped to the frame; the others go into the report."""
    kept = []
    for row in rows:
        x, y, width, height = row.box
        left, top = max(x, 0.0), max(y, 0.0)
        # Written so that a box inside the frame stays as it is, bit by bit.
        box = left, top, min(width, x + width, size[1] - left), min(height, y + height, size[0] - top)
        if not 0 <= row.frame < num_frames:
            why = f'frame {row.frame} is not in the video, which has frames 0 to {num_frames - 1}'
        elif not all(map(math.isfinite, row.box)):
            why = f'box {row.box} is not finite'
        elif min(box[2:]) <= 0:
            why = f'box {row.box} is empty or outside the frame of {size[1]}x{size[0]} px'
        else:
            report.clipped += box != row.box
            kept.append(row._replace(box=box))
            continue
        report.dropped.append(Dropped(video, row.line, why))
    return kept


def _linked(rows: list[Row], max_gap: int) -> list[Row]:
    """The rows of a video with a track each, unique within its label."""
    rows = list(rows)
    for label in {row.label for row in rows if row.track is None}:
        places = [place for place, row in enumerate(rows) if row.label == label]
        tracks = link_tracks([rows[place].frame for place in places], [rows[place].box for place in places], max_gap)
        for place, track in zip(places, tracks, strict=True):
            rows[place] = rows[place]._replace(track=int(track))
    return rows
