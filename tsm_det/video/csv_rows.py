"""Detections as a table."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping

from tsm_det.files import write_atomically

COLUMNS = ('stream', 'frame_id', 'time_s', 'track_id', 'class', 'class_id', 'score', 'x1', 'y1', 'x2', 'y2',
           'predicted')


def is_other_table(path: str | os.PathLike) -> bool:
    """Whether there is a file that :func:`write_csv` did not write, labels of a video for example."""
    try:
        with open(path, 'rb') as file:
            return file.readline(1000).strip() not in (b'', ','.join(COLUMNS).encode())
    except OSError:
        return False


def write_csv(records: Iterable[Mapping], path: str | os.PathLike) -> None:
    """Write a header and one row per detection.

    Args:
        records: of ``ExportSink``.
        path: the file. ``track_id`` is empty without a track, ``class_id`` is the 0-based label, and ``predicted``
            is 1 for a predicted box, else 0.
    """
    with write_atomically(path) as temporary, temporary.open('w', newline='', encoding='utf-8') as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        rows.writerows(
            (record['stream'], record['frame_id'], record['time_s'], box.get('track_id'), box['class'], box['label'],
             box['score'], *box['bbox'], int('predicted' in box))
            for record in records for box in record['detections'])
