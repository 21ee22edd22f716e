"""Draw detections into a frame."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import cv2
import numpy as np

_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Saturation and value, chosen so that the closest two of 30 labels are 19 apart in CIE Lab.
_SHADES = ((0.7, 1.0), (0.95, 0.6), (0.6, 0.8), (0.95, 1.0), (0.45, 1.0))


def draw_detections(image: np.ndarray, detections: Sequence[Mapping],
                    trails: Mapping[int, Sequence[tuple[float, float]]] = MappingProxyType({})) -> np.ndarray:
    """Draw boxes with class, track id and score, and trails; line width and text size scale with the frame.

    Args:
        image: ``(H, W, 3)`` BGR uint8; not modified.
        detections: ``{'bbox': [x1, y1, x2, y2], 'score', 'label', 'class', 'track_id'?, 'predicted'?}`` each, px; the
            first stays on top.
        trails: centres x, y of a track by its id, px.

    Returns a new image. Each label has one fixed colour, each track has its own instead.
    """
    canvas = image.copy()
    height, width = image.shape[:2]
    thickness = max(1, round(min(height, width) / 400))
    for detection in reversed(detections):
        # Coordinates far outside the frame overflow in OpenCV.
        box = np.clip(detection['bbox'], -thickness, [width + thickness, height + thickness] * 2)
        left, top, right, bottom = box.round().astype(int).tolist()
        track_id = detection.get('track_id')
        colour = label_colour(detection['label'] if track_id is None else track_id)
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, thickness)
        if trail := trails.get(track_id):
            cv2.polylines(canvas, [np.array(trail).round().astype(np.int32)], False, colour, thickness)
        _draw_label(canvas, _text(detection), (left, top), colour)
    return canvas


def _text(detection: Mapping) -> str:
    track = f' #{detection["track_id"]}' if 'track_id' in detection else ''
    score = 'predicted' if 'predicted' in detection else f'{detection["score"]:.2f}'
    return f'{detection["class"]}{track} {score}'


@lru_cache
def label_colour(label: int) -> tuple[int, int, int]:
    """BGR colour of a label, distinct from those of neighbouring labels."""
    # Golden-ratio steps spread the hues; similar hues, 8, 13 or 21 labels apart, differ in shade.
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618034 % 1, *_SHADES[label % len(_SHADES)])
    return round(255 * blue), round(255 * green), round(255 * red)


def _draw_label(canvas: np.ndarray, text: str, corner: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Write on a filled background above the corner, moved inside the frame."""
    height, width = canvas.shape[:2]
    scale = max(0.4, min(height, width) / 1200)
    weight = max(1, round(scale * 1.5))
    (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, weight)
    if text_width >= width:
        scale *= (width - 1) / text_width
        (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, weight)
    left = max(min(corner[0], width - 1 - text_width), 0)
    bottom = min(max(corner[1], text_height + below), height - 1)
    cv2.rectangle(canvas, (left, bottom - text_height - below), (left + text_width, bottom), colour, cv2.FILLED)
    luminance = 0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2]
    ink = (0, 0, 0) if luminance > 128 else (255, 255, 255)
    cv2.putText(canvas, text, (left, bottom - below // 2 - 1), _FONT, scale, ink, weight, cv2.LINE_AA)
