"""Link boxes without a track id into tracks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from tsm_det.errors import InputError


@dataclass
class _Track:
    """Last position and motion of an object: centre and longer side in px, velocity in px per frame."""

    number: int
    frame: int
    centre: np.ndarray
    side: float
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def move(self, frame: int, centre: np.ndarray, side: float) -> None:
        self.velocity = (centre - self.centre) / (frame - self.frame)
        self.frame, self.centre, self.side = frame, centre, side


def link_tracks(frames: ArrayLike, boxes: ArrayLike, max_gap: int = 5, reach: float = 1.0) -> np.ndarray:
    """Number the tracks of the boxes of one label in one video.

    In each annotated frame, Hungarian matching assigns boxes to tracks by the distance between the box's centre and
    the track's centre, extrapolated at its last velocity. Tracks seen most recently are matched first, so that a lost
    track cannot take the box of a visible one. A box out of reach of all tracks starts a new one.

    Args:
        frames: ``(n,)`` whole numbers, the frame of each box, in any order.
        boxes: ``(n, 4)``, x, y, width, height in px.
        max_gap: largest gap in a track, as frame numbers between two of its boxes; where only every k-th frame has
            labels, at least k - 1.
        reach: largest distance from the expected centre, in longer sides of the track's last box per frame since.

    Returns:
        ``(n,)`` track numbers from 0 in order of their start; boxes of one frame have different tracks.

    Raises:
        ValueError: the shapes do not match, or a box is empty or not finite.
        InputError: ``max_gap`` is negative.
    """
    if max_gap < 0:
        raise InputError(f'the largest gap in a linked track is {max_gap} but must be at least 0')
    frames, boxes = np.asarray(frames, dtype=int), np.asarray(boxes, dtype=float)
    if boxes.shape != (len(frames), 4):
        raise ValueError(f'boxes are {boxes.shape} but {len(frames)} frames need ({len(frames)}, 4): '
                         'give one frame number and one xywh box per row')
    if not (np.isfinite(boxes).all() and (boxes[:, 2:] > 0).all()):
        raise ValueError('some boxes are empty or not finite but tracks need positions and sizes: remove these boxes')
    centres, sides = boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:].max(axis=1)
    numbers = np.full(len(frames), -1)
    tracks: list[_Track] = []
    for frame in np.unique(frames):
        rows = np.flatnonzero(frames == frame)
        tracks = [track for track in tracks if frame - track.frame - 1 <= max_gap]
        for last in sorted({track.frame for track in tracks}, reverse=True):
            waiting, free = [track for track in tracks if track.frame == last], rows[numbers[rows] < 0]
            for track, place in _match(waiting, frame, centres[free], reach):
                numbers[free[place]] = track.number
                track.move(frame, centres[free[place]], sides[free[place]])
        for row in rows[numbers[rows] < 0]:
            numbers[row] = numbers.max() + 1
            tracks.append(_Track(numbers[row], frame, centres[row], sides[row]))
    return numbers


def _match(tracks: list[_Track], frame: int, centres: np.ndarray, reach: float) -> list[tuple[_Track, int]]:
    """Return the cheapest pairs of track and index of a box; a pair out of reach costs as much as no pair."""
    expected = np.stack([track.centre + track.velocity * (frame - track.frame) for track in tracks])
    limits = np.array([[reach * track.side * (frame - track.frame)] for track in tracks])
    costs = np.minimum(np.linalg.norm(expected[:, None] - centres, axis=-1) / limits, 1)
    return [(tracks[i], j) for i, j in zip(*linear_sum_assignment(costs), strict=True) if costs[i, j] < 1]
