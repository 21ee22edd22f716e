"""An exported model beside the detector that it was made from, on the same stream."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

from tsm_det.datasets.synthetic_vid import plan_scene
from tsm_det.errors import InputError
from tsm_det.export.graph import flat
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.video.sources import open_source

BOX_PX, SCORE, STATE = 1e-3, 1e-4, 1e-4


class Found(NamedTuple):
    """Detections of a frame: boxes ``(k, 4)`` px, scores ``(k,)``, labels ``(k,)``."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


class Comparison(NamedTuple):
    """Largest differences over a stream.

    Args:
        frames: of the stream.
        detections: that both have.
        boxes_px: of their sides.
        scores: of theirs.
        state: of what is remembered, relative to its largest number.
        alone: detections that one has and the other has not, but for those at the score threshold or at the end of
            a full list, where a difference of the last digit decides.
        eager_ms, exported_ms: what each frame took, image in, detections out.
    """

    frames: int = 0
    detections: int = 0
    boxes_px: float = 0.0
    scores: float = 0.0
    state: float = 0.0
    alone: int = 0
    eager_ms: tuple[float, ...] = ()
    exported_ms: tuple[float, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the differences are those of rounding."""
        return (self.boxes_px <= BOX_PX and self.scores <= SCORE and self.state <= STATE and self.alone == 0
                and self.frames > 0)

    def __str__(self) -> str:
        nothing = ': no box was compared, verify with --source or a lower score_thr' if self.detections == 0 else ''
        return (f'{self.frames} frames, {self.detections} detections: boxes differ by at most {self.boxes_px:.1e} px '
                f'(limit {BOX_PX:g}), scores by {self.scores:.1e} (limit {SCORE:g}), the state by {self.state:.1e} '
                f'(limit {STATE:g}); {self.alone} detections have no counterpart{nothing}; median of a frame '
                f'{np.median(self.exported_ms or 0):.0f} ms, eager {np.median(self.eager_ms or 0):.0f} ms')


def compare_with_eager(detector: OnlineDetector, path: str | os.PathLike, frames: Iterable[np.ndarray]) -> Comparison:
    """Run both over a stream from its first frame on; a graph that forgets is right on that one only.

    Args:
        detector: that ``path`` was exported from; it starts afresh.
        path: of the model.
        frames: ``(H, W, 3)`` BGR uint8, of the size that it was exported for.
    """
    from tsm_det.export.runtime import Detector  # needs onnxruntime

    exported = Detector(path)
    detector.reset()
    total = Comparison()
    for image in frames:
        begin = time.perf_counter()
        sample = detector(image).pred_instances.cpu()
        between = time.perf_counter()
        found = Found(*exported(image))
        end = time.perf_counter()
        expected = Found(sample.bboxes.numpy(), sample.scores.numpy(), sample.labels.numpy())
        one = compare_found(expected, found, exported.meta['score_thr'], exported.meta['max_detections'])
        state = _largest(_relative(tensor.cpu().numpy(), present) for tensor, present in zip(
            flat(detector.bank.held()[0].state), exported.streams[None][1].values(), strict=True))
        total = Comparison(
            total.frames + 1, total.detections + one.detections, _largest([total.boxes_px, one.boxes_px]),
            _largest([total.scores, one.scores]), _largest([total.state, state]), total.alone + one.alone,
            (*total.eager_ms, 1e3 * (between - begin)), (*total.exported_ms, 1e3 * (end - between)))
    return total


def example_stream(num_frames: int, size: tuple[int, int], source: str | None = None) -> Iterator[np.ndarray]:
    """Frames ``(H, W, 3)`` BGR uint8 of ``size`` (H, W): of a video or folder; without one, of a synthetic scene.

    Raises:
        InputError: the source cannot be read or has another size, or no frame is asked for.
    """
    if num_frames < 1:
        raise InputError(f'--verify is {num_frames} but a number from 1 is needed: 2 show whether a model remembers')
    if source is None:
        scene = plan_scene((0,), num_frames, size)
        yield from map(scene.frame, range(num_frames))
        return
    for frame in islice(filter(None, open_source(source).frames()), num_frames):
        if frame.image.shape[:2] != size:
            raise InputError('{} has frames of {}x{} px but --size is {} {}: give one of that size'.format(
                source, *frame.image.shape[:2], *size))
        yield frame.image


def compare_found(one: Found, other: Found, score_thr: float, max_detections: int) -> Comparison:
    """Pair the detections of a frame, each with the nearest free one of its label, the surest first."""
    free = set(range(len(other.labels)))
    boxes_px, scores, alone = [], [], []
    for box, score, label in zip(*one, strict=True):
        apart = {k: np.abs(other.boxes[k] - box).max() for k in free if other.labels[k] == label}
        if not apart:
            alone.append((score, other))
            continue
        nearest = min(apart, key=apart.get)
        free.remove(nearest)
        boxes_px.append(float(apart[nearest]))
        scores.append(float(abs(other.scores[nearest] - score)))
    alone += [(other.scores[k], one) for k in free]
    return Comparison(1, len(boxes_px), _largest(boxes_px), _largest(scores), alone=sum(
        not _is_at_an_end(score, rest, score_thr, max_detections) for score, rest in alone))


def _is_at_an_end(score: float, others: Found, score_thr: float, max_detections: int) -> bool:
    is_full = len(others.scores) == max_detections
    return score - score_thr <= SCORE or (is_full and score - others.scores.min() <= SCORE)


def _relative(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max() / max(np.abs(one).max(), 1e-12))


def _largest(differences: Iterable[float]) -> float:
    """NaN if one is NaN, which ``max`` overlooks; 0 of none."""
    return float(np.max([0.0, *differences]))
