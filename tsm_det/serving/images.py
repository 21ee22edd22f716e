"""Pictures that strangers send, and pictures for them."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

from tsm_det.errors import InputError


def decode_jpeg(data: bytes, max_pixels: int) -> np.ndarray:
    """Decode a JPEG after a look at its header, so that nothing is allocated for one that is too large.

    Returns:
        ``(H, W, 3)`` BGR uint8 in the displayed orientation.

    Raises:
        InputError: it is no JPEG, is damaged, or has more pixels than ``max_pixels``.
    """
    try:
        # Only the header of this one format: Pillow's others may allocate before they say how large a picture is.
        with Image.open(io.BytesIO(data), formats=['JPEG']) as header:
            (width, height), is_progressive = header.size, 'progressive' in header.info
    except Image.DecompressionBombError as error:
        raise InputError(f'the picture has far more pixels than the {max_pixels} that are taken: '
                         'send a smaller one') from error
    except (OSError, ValueError) as error:
        raise InputError('what came is no JPEG picture but one is needed: send the frames of a camera') from error
    if width * height > max_pixels:
        raise InputError(f'the picture has {width} x {height} pixels but at most {max_pixels} are taken: '
                         'send a smaller one')
    if is_progressive:  # thousands of scans fit into a small file, and each costs as much as a picture
        raise InputError('the picture is a progressive JPEG but a baseline one is needed: save it as that')
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError('the picture is damaged: send the next one')
    return image


def encode_jpeg(image: np.ndarray) -> bytes:
    """A picture for the page from ``(H, W, 3)`` BGR uint8."""
    return cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, 90))[1].tobytes()
