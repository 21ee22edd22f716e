"""Where the tracks of a stream have been."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

_FRAMES = 30


class Trails:
    """The centres of each track in the last 30 frames of a stream."""

    def __init__(self) -> None:
        self._frames: deque[dict[int, tuple[float, float]]] = deque(maxlen=_FRAMES)

    def __call__(self, detections: Sequence[Mapping]) -> dict[int, list[tuple[float, float]]]:
        """Add the detections of the next frame; return the centres x, y of their tracks in px, the oldest first."""
        centres = {}
        for detection in detections:
            if 'track_id' in detection:
                left, top, right, bottom = detection['bbox']
                centres[detection['track_id']] = (left + right) / 2, (top + bottom) / 2
        self._frames.append(centres)
        return {track_id: [frame[track_id] for frame in self._frames if track_id in frame] for track_id in centres}
