"""Times of frames from their time stamps."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median_low

import av

# Formats that store no times of display: FFmpeg makes some up, out of order.
_DECODING_TIMES_ONLY = ('asf', 'avi')


def stamp_of(frame: av.VideoFrame, format_name: str) -> int | None:
    """The time stamp of a decoded frame, None if its container has none."""
    return frame.dts if format_name in _DECODING_TIMES_ONLY else frame.pts


class FrameClock:
    """Gives the seconds from the first frame to each, called with their stamps in display order.

    Where stamps start again, as in joined recordings, or are missing, the next frame follows after the usual step.

    Args:
        tick_s: seconds per tick of the stamps.
        usual: ticks between two frames; see :func:`usual_step`.
    """

    def __init__(self, tick_s: Fraction, usual: int | Fraction) -> None:
        self._tick_s, self._usual = tick_s, usual
        self._ticks = -usual
        self._before: int | None = None

    def __call__(self, stamp: int | None) -> float:
        """Seconds from the first frame to the next one, whose stamp is None where the container has none."""
        if stamp is not None and self._before is not None and stamp >= self._before:
            self._ticks += stamp - self._before
        else:
            self._ticks += self._usual
        self._before = stamp
        return float(self._ticks * self._tick_s.numerator / self._tick_s.denominator)


def usual_step(stamps: Sequence[int | None], tick_s: Fraction, fps: float) -> int | Fraction:
    """Ticks between two frames: the median, or by the stated rate without two stamps."""
    steps = [after - before for before, after in pairwise(stamps)
             if before is not None and after is not None and after > before]
    return median_low(steps) if steps else 1 / (Fraction(fps).limit_denominator(1001) * tick_s)
