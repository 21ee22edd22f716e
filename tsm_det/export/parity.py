"""Compare an exported model with the detector it came from, on one stream."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from tsm_det.datasets.synthetic_vid import plan_scene
from tsm_det.errors import InputError
from tsm_det.shift import tensors_of
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.video.sources import open_source

BOX_PX, SCORE, STATE = 1e-3, 1e-4, 1e-4
# (H, W) of the synthetic scenes that verify a model for any frame size.
_SIZES = (240, 320), (320, 140)
# Boxes (k, 4) in px, scores (k,) and labels (k,) of a frame.
Detected = tuple[np.ndarray, np.ndarray, np.ndarray]


class Parity(NamedTuple):
    """Number of frames and of detections that both have, and largest differences over a stream.

    ``state`` is relative to the largest value. ``unmatched`` counts detections of only one of them, except those that
    rounding decides: at the score threshold, or at the end of a full list. Times are per frame, image to detections.
    """

    frames: int = 0
    detections: int = 0
    boxes_px: float = 0.0
    scores: float = 0.0
    state: float = 0.0
    unmatched: int = 0
    eager_ms: tuple[float, ...] = ()
    exported_ms: tuple[float, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether all differences are within the limits of rounding."""
        return bool(self.frames > 0 and self.unmatched == 0
                    and self.boxes_px <= BOX_PX and self.scores <= SCORE and self.state <= STATE)

    def __str__(self) -> str:
        warning = '' if self.detections else ': no box was compared, verify with --source or a lower score_thr'
        return (f'{self.frames} frames, {self.detections} detections: boxes differ by at most {self.boxes_px:.1e} px '
                f'(limit {BOX_PX:g}), scores by {self.scores:.1e} (limit {SCORE:g}), states by {self.state:.1e} '
                f'(limit {STATE:g}); {self.unmatched} detections are unmatched{warning}; median per frame '
                f'{np.median(self.exported_ms or 0):.0f} ms, eager {np.median(self.eager_ms or 0):.0f} ms')


def compare_with_eager(detector: OnlineDetector, path: str | os.PathLike, frames: Iterable[np.ndarray]) -> Parity:
    """Run the detector, reset first, and its export at ``path`` over a stream of ``(H, W, 3)`` BGR uint8 frames.

    Give two frames or more: a model that forgets is right on the first one.
    """
    from tsm_det.export.runtime import Detector  # needs onnxruntime

    exported = Detector(path)
    detector.reset()
    total = Parity()
    for image in frames:
        begin = time.perf_counter()
        expected = detector(image).pred_instances.cpu()
        between = time.perf_counter()
        detected = exported(image)
        end = time.perf_counter()
        one = compare_detections(tuple(expected[key].numpy() for key in ('bboxes', 'scores', 'labels')), detected,
                                 exported.meta['score_thr'], exported.meta['max_detections'])
        pasts = [past.cpu().numpy() for past in tensors_of(detector.bank.held()[0].state)]
        state = [np.abs(past - present).max(initial=0) / max(np.abs(past).max(initial=0), 1e-12)
                 for past, present in zip(pasts, exported.streams[None][1].values(), strict=True)]
        total = Parity(
            total.frames + 1, total.detections + one.detections, np.maximum(total.boxes_px, one.boxes_px),
            np.maximum(total.scores, one.scores), np.max([total.state, *state]), total.unmatched + one.unmatched,
            (*total.eager_ms, 1e3 * (between - begin)), (*total.exported_ms, 1e3 * (end - between)))
    return total


def example_stream(num_frames: int, size: tuple[int, int] | None, source: str | None = None) -> Iterator[np.ndarray]:
    """Yield frames ``(H, W, 3)`` BGR uint8 of ``size`` (H, W): of a video or folder, else of a synthetic scene.

    Without a size, the source may have any, and the scene has two, ``num_frames`` of each.

    Raises InputError when the source cannot be read or has another size, or ``num_frames`` is below 1.
    """
    if num_frames < 1:
        raise InputError(f'--verify is {num_frames} but must be at least 1, and 2 to compare states')
    if source is None:
        for scene_size in [size] if size else _SIZES:
            yield from map(plan_scene((0,), num_frames, scene_size).frame, range(num_frames))
        return
    for frame in islice(filter(None, open_source(source).frames()), num_frames):
        if size and frame.image.shape[:2] != size:
            raise InputError('{} has frames of {}x{} px but --size is {} {}: give one of that size'.format(
                source, *frame.image.shape[:2], *size))
        yield frame.image


def compare_detections(one: Detected, other: Detected, score_thr: float, max_detections: int) -> Parity:
    """Match the detections of a frame, highest-scoring first, each to the nearest free one of its label."""
    free = set(range(len(other[2])))
    boxes_px, scores, unmatched = [], [], []
    for box, score, label in zip(*one, strict=True):
        distances = {k: np.abs(other[0][k] - box).max() for k in free if other[2][k] == label}
        if not distances:
            unmatched.append((score, other[1]))
            continue
        nearest = min(distances, key=distances.get)
        free.remove(nearest)
        boxes_px.append(distances[nearest])
        scores.append(abs(other[1][nearest] - score))
    unmatched += [(other[1][k], one[1]) for k in free]
    # Unlike max, numpy's does not skip NaN.
    return Parity(1, len(boxes_px), np.max(boxes_px, initial=0), np.max(scores, initial=0), unmatched=sum(
        score - score_thr > SCORE and (len(others) < max_detections or score - others.min() > SCORE)
        for score, others in unmatched))
