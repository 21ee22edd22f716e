"""One output file per stream, or one for all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from tsm_det.errors import InputError


def stream_paths(streams: Sequence[str], out: str | None, suffix: str, flag: str) -> dict[str, Path]:
    """The file of each stream: ``out`` itself for one stream, or a file in the folder ``out``; {} for None.

    Raises InputError when ``out`` is neither a folder nor, for one stream, a name with the suffix.
    """
    if not out:
        return {}
    is_file = out.lower().endswith(suffix) and not is_folder(out)
    if len(streams) == 1 and is_file:
        return {streams[0]: Path(out)}
    if is_file or (len(streams) == 1 and not is_folder(out)):
        raise InputError(f'{flag} is {out} but {len(streams)} source(s) need '
                         f'{f"a file name ending in {suffix} or a folder/" if len(streams) == 1 else "a folder/"}')
    paths: dict[str, Path] = {}
    for stream in streams:
        stem = ''.join(letter if letter.isalnum() or letter in '-_.' else '_' for letter in Path(stream).stem)
        names = (Path(out, f'{stem or "stream"}{f"-{k}" * bool(k)}{suffix}') for k in count())
        paths[stream] = next(path for path in names if path not in paths.values())
    return paths


def own_or_shared_paths(streams: Sequence[str], out: str | None, suffix: str, flag: str) -> dict[str, Path]:
    """The file of each stream: its own in the folder ``out``, or the file ``out`` for all; {} for None."""
    if out and not is_folder(out):
        return dict.fromkeys(streams, Path(out))
    return stream_paths(streams, out, suffix, flag)


def is_folder(out: str) -> bool:
    """Whether an output is a folder: one that exists, or a name with a slash at its end."""
    return os.path.isdir(out) or out.endswith(('/', os.sep))
