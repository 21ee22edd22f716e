"""Read text files with one record per line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tsm_det.cocovid.convert.frame_files import parse_number, parse_whole
from tsm_det.errors import InputError


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file; raise InputError when it cannot be read."""
    try:
        return path.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{path} cannot be read ({error}): it must be text in UTF-8') from error


def read_records(path: Path, columns: dict[str, type], separator: str | None = None) -> Iterator[tuple[int, dict]]:
    """Yield the line number and the values of each line that is not empty.

    Args:
        path: the text file.
        columns: name and type (int, float or str) of the first columns; further columns are ignored.
        separator: between the values; None is any white space.

    Raises InputError when the file cannot be read, or a line lacks a column or holds something else than a number.
    """
    for number, line in enumerate(read_lines(path), start=1):
        if line.strip():
            yield number, parse_record(line, columns, f'{path} line {number}', separator)


def parse_record(line: str, columns: dict[str, type], place: str, separator: str | None = None) -> dict:
    """Return the values of one line by column; ``place`` says where it is, for messages."""
    texts = [text.strip() for text in line.split(separator)]
    if len(texts) < len(columns):
        raise InputError(f'{place} has {len(texts)} values but {len(columns)} are required ({" ".join(columns)}), '
                         f'separated by {repr(separator) if separator else "spaces"}: fix the row')
    return {name: text if kind is str else (parse_whole if kind is int else parse_number)(text, name, place)
            for (name, kind), text in zip(columns.items(), texts, strict=False)}
