"""Tables as lines of aligned plain text or of Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def aligned_table(rows: Sequence[Sequence[object]]) -> list[str]:
    """Pad cells to columns: the first to the left, the others to the right, two spaces between them."""
    cells, widths = _cells(rows)
    return ['  '.join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells]


def markdown_table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table, padded so that it also reads well in a terminal."""
    (head, *cells), widths = _cells([head, *rows])
    return [f'| {" | ".join(map(str.ljust, row, widths))} |' for row in (head, ['-' * k for k in widths], *cells)]


def _cells(rows: Sequence[Sequence[object]]) -> tuple[list[list[str]], list[int]]:
    cells = [[str(cell) for cell in row] for row in rows]
    return cells, [max(map(len, column)) for column in zip(*cells, strict=True)]
