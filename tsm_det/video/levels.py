"""16-bit images and video, such as thermal counts: their values become the 256 levels that detectors take."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tsm_det.errors import InputError

ValueRange = Sequence[float | str]
_seen: set[Path] = set()  # folders and videos


def read_image(path: str | os.PathLike, value_range: ValueRange | None = None) -> np.ndarray:
    """Read an image upright, ``(H, W, 3)`` BGR uint8.

    An image of 8 bits is read as it is. Of 16 bits, :func:`to_levels` keeps the range; without one, the upper eight
    bits stay: see :func:`warn_of_lost_levels`.

    Raises OSError when the image cannot be read.
    """
    try:
        image = cv2.imread(os.fspath(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:  # more pixels than OpenCV accepts
        image = None
    if image is None:
        Path(path).open('rb').close()  # says if the file is missing
        raise OSError(f'{path} cannot be decoded')
    if image.dtype == np.uint8:
        return image
    return np.right_shift(image, 8).astype(np.uint8) if value_range is None else to_levels(image, value_range)


def warn_of_lost_levels(path: str | os.PathLike) -> None:
    """Warn, once per folder, when an image has 16 bits, and say how many levels reading its upper bits leaves."""
    if (folder := Path(path).parent) in _seen:
        return
    _seen.add(folder)
    try:
        image = cv2.imread(os.fspath(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error:  # more pixels than OpenCV accepts: whoever reads it next reports it
        return
    if image is not None and image.dtype == np.uint16:
        _warn(path, image, 16)


def warn_of_lost_video_levels(path: str | os.PathLike, read_values: Callable[[], np.ndarray], bits: int) -> None:
    """Warn, once per video file, how many levels are left of the values of a frame, which ``read_values`` gives."""
    if Path(path) not in _seen:
        _seen.add(Path(path))
        _warn(path, read_values(), bits)


def _warn(path: str | os.PathLike, image: np.ndarray, bits: int) -> None:
    logging.getLogger(__name__).warning(
        '%s has more than 8 bits, values %d to %d: %d different ones become %d grey levels. Set value_range of '
        'LoadFrame in the pipelines', path, image.min(), image.max(), len(np.unique(image)),
        len(np.unique(image >> (bits - 8))))


def to_levels(image: np.ndarray, value_range: ValueRange) -> np.ndarray:
    """Map a range of values to 0 to 255, linearly, rounded and clipped.

    Args:
        image: uint16, of any shape.
        value_range: the values that become 0 and 255; ``'1%'`` is a percentile of this image.
    """
    low, high = (np.percentile(image, float(limit[:-1])) if isinstance(limit, str) else limit for limit in value_range)
    table = np.clip((np.arange(65536) - low) * (255 / max(high - low, 1e-9)) + 0.5, 0, 255).astype(np.uint8)
    return table[image]


def check_range(value_range: ValueRange | None) -> None:
    """Raise InputError when a range is not two rising numbers or percentiles."""
    def position(limit: Any) -> float:
        return float(limit.removesuffix('%')) if isinstance(limit, str) and limit.endswith('%') else limit + 0.0

    try:
        is_rising = value_range is None or position(value_range[0]) < position(value_range[1])
    except (TypeError, ValueError, IndexError, KeyError):
        is_rising = False
    if not is_rising or (value_range is not None and len(value_range) != 2):
        raise InputError(f"value_range is {value_range!r} but must be two rising numbers or percentiles: write for "
                         "example (27000, 31000) or ('1%', '99%')")
