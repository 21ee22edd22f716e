"""What visitors of the page may ask of the server."""

from __future__ import annotations

import math
from typing import NamedTuple

from tsm_det.errors import InputError


class Limits(NamedTuple):
    """Bounds on what is taken from visitors.

    ``visitors``: pages open at once. ``upload_bytes``: of a video file, ``upload_s``: how long it may take to come.
    ``video_s``: of its playing time, ``frames``: how many it may have. ``message_bytes``: of a picture from a camera.
    ``pixels``: of a picture, from a camera or in a video. ``idle_s``: how long a page may ask for nothing, or not take
    what it asked for, before its place is given to others.
    """

    visitors: int = 4
    upload_bytes: float = 200_000_000
    upload_s: float = 3600
    video_s: float = 3600
    frames: int = 250_000
    message_bytes: int = 4_000_000
    pixels: int = 4096 * 2304
    idle_s: float = 300

    def check(self) -> Limits:
        """Give the limits back, or raise InputError when one of them lets nothing through."""
        for name, limit in self._asdict().items():
            if not 0 < limit < math.inf:  # nor is NaN
                raise InputError(f'the limit {name} is {limit} but a finite number above 0 is needed: change it')
        return self
