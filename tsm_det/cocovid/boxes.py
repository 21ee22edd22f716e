"""Overlap of boxes."""

from __future__ import annotations

import numpy as np


def pair_iou(first: np.ndarray, second: np.ndarray, grown: float = 0.0,
             crowd: np.ndarray | None = None) -> np.ndarray:
    """Intersection over union of the boxes of n pairs; 0 where neither box has an area.

    Args:
        first: ``(n, 4)`` x, y, width, height in px.
        second: likewise.
        grown: px added to all widths and heights: 1 where pixels are counted from the first to the last one inside.
        crowd: ``(n,)``, where ``second`` is a region of many objects; there COCO takes the part of ``first`` in it.
    """
    low = np.maximum(first[:, :2], second[:, :2])
    high = np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
    shared = np.prod(np.clip(high - low + grown, 0, None), axis=1)
    area, other = (np.prod(boxes[:, 2:] + grown, axis=1) for boxes in (first, second))
    union = area + other - shared
    if crowd is not None:
        union = np.where(crowd, area, union)
    return np.divide(shared, union, out=np.zeros(len(shared)), where=union > 0)
