"""Frames of video files that hold more than 8 bits per value, such as thermal counts."""

from __future__ import annotations

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

_GRAY = ('gray9le', 'gray10le', 'gray12le', 'gray14le', 'gray16le', 'gray16be')


def is_deep(frame: av.VideoFrame) -> bool:
    """Whether a frame is gray or RGB with more levels than 8 bits hold.

    10-bit YUV, as in HDR video, is not: its values are colours, which 8 bits show as usual.
    """
    return frame.format.name in _GRAY or (frame.format.is_rgb and num_bits(frame) > 8)


def num_bits(frame: av.VideoFrame) -> int:
    """Bits per value."""
    return frame.format.components[0].bits


def deep_values(frame: av.VideoFrame, reformatter: VideoReformatter) -> np.ndarray:
    """Return the values of a deep frame as stored, ``(H, W, 3)`` BGR uint16."""
    if frame.format.name in _GRAY:
        return cv2.merge([frame.to_ndarray()] * 3)
    values = reformatter.reformat(frame, format='rgb48le', threads=1).to_ndarray()[..., ::-1]
    return np.ascontiguousarray(np.right_shift(values, 16 - num_bits(frame)))
