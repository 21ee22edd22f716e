"""Detections as rows of MOTChallenge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tsm_det.files import write_text


def write_mot(records: Iterable[Mapping], paths: Mapping[str, Path], classes: Sequence[str]) -> None:
    """Write one file per stream, and ``labels.txt`` with the class names beside them.

    A row is frame, id, left, top, width, height, score, class, visibility: frames, px and classes count from 1, the id
    is -1 without a track, and the visibility 0 for a predicted box, else 1.

    Args:
        records: of ``ExportSink``.
        paths: the file of each stream.
        classes: names of the labels.
    """
    rows: dict[str, list[str]] = {stream: [] for stream in paths}
    for record in records:
        for box in record['detections']:
            left, top, right, bottom = box['bbox']
            sides = (round(number, 2) for number in (left + 1, top + 1, right - left, bottom - top))
            row = (record['frame_id'] + 1, box.get('track_id', -1), *sides, box['score'], box['label'] + 1,
                   int('predicted' not in box))
            rows[record['stream']].append(','.join(map(str, row)))
    for stream, path in paths.items():
        write_text(''.join(f'{row}\n' for row in rows[stream]), path)
    for folder in {path.parent for path in paths.values()}:
        write_text(''.join(f'{name}\n' for name in classes), folder / 'labels.txt')
