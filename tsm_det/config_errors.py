"""Errors of configs in one sentence, with file and line: of the program that a config is, and of what it describes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from traceback import walk_tb
from types import FrameType

from mmengine.config import Config

from tsm_det.errors import InputError

_MMENGINE = re.compile(r'/mmengine/(registry|config)/\w+\.py$')


def reading_error(path: str, error: Exception) -> InputError:
    """Describe why a config file, or one that it inherits from, cannot be read."""
    file, line = path, getattr(error, 'lineno', None)
    for frame, number in walk_tb(error.__traceback__):
        if '__name__' not in frame.f_globals:  # a config runs as a program that is no module
            file, line = frame.f_code.co_filename, number
        elif _MMENGINE.search(frame.f_code.co_filename) and os.path.isfile(frame.f_locals.get('filename', '')):
            file = frame.f_locals['filename']
    message = error.msg if isinstance(error, SyntaxError) else f'{type(error).__name__}: {error}'
    if line is None and Path(file).is_file():
        lines = Path(file).read_text(errors='replace').splitlines()
        # The message names a file or module, which comes last in its path.
        line = _first_line(lines, re.findall(r'from (\S+) import|/([\w.-]+)\'', str(error)))
    return InputError(f'{_place(file, line)} cannot be read ({_short(message)}): fix it or take one of configs/')


@contextmanager
def config_errors(config: Config) -> Iterator[None]:
    """Context manager: an error of what a config describes, such as an unknown type, becomes an InputError.

    It is such an error when mmengine's registry, config or runner raised it while building from the config.
    """
    try:
        yield
    except (InputError, RuntimeError):  # a device may be out of memory
        raise
    except Exception as error:
        frames = [frame for frame, _ in walk_tb(error.__traceback__)]
        if not any(_builds(frame) for frame in frames):
            raise
        described = [frame.f_locals['cfg'] for frame in frames if frame.f_code.co_name == 'build_from_cfg']
        raise InputError(_building_sentence(config, error, described[-1] if described else None)) from error


def _builds(frame: FrameType) -> bool:
    return bool(_MMENGINE.search(frame.f_code.co_filename)) or (
        frame.f_code.co_name == 'from_cfg' and frame.f_code.co_filename.endswith('runner.py'))


def _building_sentence(config: Config, error: Exception, described: object) -> str:
    message = str(error.args[0] if isinstance(error, KeyError) and error.args else error).split('. Please check')[0]
    kind = described.get('type') if isinstance(described, dict) else None
    kind = getattr(kind, '__name__', kind)
    key = re.search(r"argument:? '(\w+)'|attribute '(\w+)'", message)
    words = [*filter(None, key.groups() if key else ()), *([kind] if isinstance(kind, str) else [])]
    if described is not None and not isinstance(described, dict):
        words = [*filter(None, [_key_of(config, described)])]
    files = _files_of(config)
    for word in words:
        for file, lines in files.items():
            if line := _first_line(lines, [(word,)]):
                return f'{_place(file, line)} is wrong ({_short(message)}): change {word}'
    what = f'{words[0]} there, or in --cfg-options' if words else 'it'
    return f'{_place(next(iter(files), ""), None)} is wrong ({_short(message)}): change {what}'


def config_text(config: Config) -> str:
    """The files of a config, bases first, each below a line with its path."""
    lines = (config.text or '').split('\n', 1)
    return config.text if os.path.isabs(lines[0]) else f'{os.path.abspath(config.filename or "")}\n{config.text or ""}'


def _files_of(config: Config) -> dict[str, list[str]]:
    """Lines by file, the config itself first."""
    files: dict[str, list[str]] = {}
    for line in config_text(config).splitlines():
        if os.path.isabs(line) and line.endswith(('.py', '.json', '.yaml', '.yml')):
            files[line] = []
        elif files:
            files[next(reversed(files))].append(line)
    return dict(reversed(files.items()))


def _first_line(lines: list[str], groups: list[tuple[str, ...]]) -> int | None:
    words = [word for group in groups for word in group if word]
    return next((number for word in words for number, line in enumerate(lines, 1)
                 if re.search(rf'(?<!\w){re.escape(word)}(?!\w)', line)), None)


def _key_of(node: object, value: object) -> str | None:
    """The first key of a config with this value."""
    entries = node.items() if isinstance(node, dict | Config) else enumerate(node) if isinstance(node, list) else ()
    return next((str(key) for key, entry in entries if isinstance(key, str) and entry == value),
                next(filter(None, (_key_of(entry, value) for _, entry in entries)), None))


def _place(file: str, line: int | None) -> str:
    return f'the config {os.path.relpath(file) if file else ""}{f", line {line}," if line else ""}'


def _short(message: str) -> str:
    return shorten(' '.join(message.split()), 240, placeholder='...')
