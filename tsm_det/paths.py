"""Where the configs are: beside the package in a clone, inside it once installed."""

from __future__ import annotations

from pathlib import Path

from tsm_det.errors import InputError


def config_path(name: str) -> str:
    """Path of a config that comes with tsm_det, e.g. ``'tsm_faster_rcnn_r50_vid'``.

    Args:
        name: of the file, with or without ``.py``.

    Raises:
        InputError: there is no such config; the message lists those there are.
    """
    package = Path(__file__).parent
    folder = next(folder for folder in (package / 'configs', package.parent / 'configs') if folder.is_dir())
    path = folder / f'{name.removesuffix(".py")}.py'
    if not path.is_file():
        known = ', '.join(sorted(config.stem for config in folder.glob('*.py')))
        raise InputError(f'no config is called {name!r}: choose one of {known}')
    return str(path)
