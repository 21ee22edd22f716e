"""The rows of a fleet run: one per recording, in JSON lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tsm_det.errors import InputError
from tsm_det.files import needing_room, write_text


class Manifest:
    """``OUT/manifest.jsonl``, or that of a shard. What an earlier run finished is kept; failed recordings are not.

    Raises InputError when the file is not a manifest.
    """

    def __init__(self, out: str, shard: tuple[int, int] = (1, 1)) -> None:
        self.path = Path(out, 'manifest.jsonl' if shard[1] == 1 else 'manifest-{}-of-{}.jsonl'.format(*shard))
        self.done: dict[str, dict] = {}
        try:
            lines = self.path.read_text(encoding='utf-8').splitlines(True) if self.path.exists() else []
            # A line that a killed run left unfinished is not kept.
            rows = [json.loads(line) for line in lines if line.endswith('\n')]
            self.done = {row['name']: row for row in rows if row['status'] == 'done'}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f'{self.path} is not a manifest of detect_videos.py: move it away, or name another --out'
                             ) from error

    def start(self) -> None:
        """Write the rows that are kept."""
        write_text(''.join(map(_line, self.done.values())), self.path)

    def add(self, row: Mapping) -> None:
        """Append a row; raise InputError when the disk is full."""
        with needing_room(self.path), self.path.open('a', encoding='utf-8') as file:
            file.write(_line(row))


def _line(row: Mapping) -> str:
    return json.dumps(row, ensure_ascii=False) + '\n'
