"""JSON files that appear whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from tsm_det.errors import InputError


def write_json(content: dict, path: str | os.PathLike, indent: int | None = None) -> None:
    """Write a JSON file, and the folders above it.

    Raises:
        InputError: it cannot be written there.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f'.{path.name}.', dir=path.parent) as workshop:
            Path(workshop, 'whole').write_text(json.dumps(content, indent=indent) + '\n')
            os.replace(Path(workshop, 'whole'), path)
    except OSError as error:
        raise InputError(f'{path} cannot be written ({error}): name a file in a folder that can be') from error
