"""The displayed orientation of a decoded frame."""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type

_FLIPS = {(True, False): 1, (False, True): 0, (True, True): -1}


def upright(image: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Turn and mirror the stored image ``(H, W, 3)`` of a frame to its displayed orientation, one of eight.

    A display matrix shows the pixel in column p and row q at column ``a p + c q`` and row ``b p + d q`` (ISO/IEC
    14496-12, 6.2.2). Its angle is rounded to a quarter turn.
    """
    matrix = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
    if matrix is None:
        return image
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = cv2.transpose(image), c, b
    flip = _FLIPS.get((a < 0, d < 0))
    return image if flip is None else cv2.flip(image, flip)
