"""Many streams on one detector: each gets what it would get alone, whatever the others do.

Nothing is selected here: all candidates come out, none is below a threshold, suppressed by a neighbour or beyond the
largest number. So a last digit that another batch size changes cannot change which boxes there are.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures import DetDataSample
from mmengine.dataset import Compose

from tests.tiny import tiny_detector
from tsm_det import OnlineDetector

SIZES = ((64, 64), (32, 64), (64, 48), (128, 128))
MAX_GAP = 3
NO_SELECTION = dict(
    rpn_head=dict(anchor_generator=dict(ratios=[0.5, 2.0])),
    roi_head=dict(bbox_head=dict(num_classes=2)),
    test_cfg=dict(rpn=dict(nms_pre=-1, max_per_img=10**6, min_bbox_size=-1, nms=dict(type='nms', iou_threshold=1.0)),
                  rcnn=dict(score_thr=-1.0, max_per_img=-1, nms=dict(type='nms', iou_threshold=1.0))))
PIPELINE = [
    dict(type='TransformBroadcaster', transforms=[
        dict(type='LoadImageFromNDArray'), dict(type='Resize', scale=(64, 64), keep_ratio=True)]),
    dict(type='PackTrackInputs')]


class Step(NamedTuple):
    """A stream's next frame: its id is ``step`` after the last, it is drawn from ``picture``; dropped before or not."""

    step: int
    size: tuple[int, int]
    picture: int
    is_dropped_before: bool


class Seen(NamedTuple):
    """A frame and what the detector said of it."""

    frame_id: int
    reset: str | None
    sample: DetDataSample


def detector_of(capacity: int) -> OnlineDetector:
    model = tiny_detector(**NO_SELECTION)
    with torch.no_grad():  # boxes stay near their anchors, as trained ones do: noise is not blown up
        for layer in (model.rpn_head.rpn_reg, model.roi_head.bbox_head.fc_reg):
            layer.weight.mul_(0.1)
            layer.bias.zero_()
    model.dataset_meta = {'classes': ('a', 'b')}
    return OnlineDetector(model, Compose(PIPELINE), capacity, MAX_GAP)


def histories(streams: int, frames: int) -> st.SearchStrategy[list[list[Step]]]:
    """What happens to each stream: mostly it runs on, now and then there is a gap, a seek, another size, a reset."""
    step = st.builds(
        Step, st.sampled_from((1, 1, 1, 1, 2, MAX_GAP, MAX_GAP + 1, 50, 0, -2)),
        st.sampled_from((SIZES[0],) * 6 + SIZES), st.integers(0, 9), st.sampled_from((False,) * 9 + (True,)))
    return st.lists(st.lists(step, min_size=1, max_size=frames), min_size=streams, max_size=streams)


def frame_ids(history: list[Step]) -> list[int]:
    ids = [0]
    for step in history[1:]:
        ids.append(max(0, ids[-1] + step.step))
    return ids


def interleaved(lengths: list[int], rng: random.Random) -> Iterable[list[int]]:
    """Batches of streams, in any order, until each has come so many times."""
    left = dict(enumerate(lengths))
    while left:
        batch = rng.sample(sorted(left), rng.randint(1, len(left)))
        left = {i: n - (i in batch) for i, n in left.items() if n > (i in batch)}
        yield batch


def run_together(detector: OnlineDetector, streams: list[list[Step]], batches: Iterable[list[int]]) -> list[list[Seen]]:
    ids, seen = [frame_ids(history) for history in streams], [[] for _ in streams]
    for batch in batches:
        steps = [streams[i][len(seen[i])] for i in batch]
        for i, step in zip(batch, steps, strict=True):
            if step.is_dropped_before:
                detector.reset(i)
        numbers = [ids[i][len(seen[i])] for i in batch]
        samples = detector.detect_batch([picture(step) for step in steps], batch, numbers)
        for i, number, sample in zip(batch, numbers, samples, strict=True):
            seen[i].append(Seen(number, sample.metainfo['reset'], sample))
    return seen


def picture(step: Step) -> np.ndarray:
    return np.random.default_rng(step.picture).integers(0, 256, (*step.size, 3), dtype=np.uint8)


def expected_resets(history: list[Step]) -> list[str | None]:
    """The rule, told a second time."""
    reasons, ids = ['new'], frame_ids(history)
    for k in range(1, len(history)):
        step, jump = history[k], ids[k] - ids[k - 1]
        reasons.append(
            'manual' if step.is_dropped_before else 'size' if step.size != history[k - 1].size
            else 'seek' if jump <= 0 else 'gap' if jump > MAX_GAP else None)
    return reasons


def largest_difference(one: DetDataSample, other: DetDataSample) -> tuple[float, float]:
    """In px and in score, from each detection to the nearest of its label in the other sample."""
    rows = [torch.cat([sample.pred_instances.bboxes, 10 * sample.pred_instances.scores[:, None],
                       1e6 * sample.pred_instances.labels[:, None]], dim=1) for sample in (one, other)]
    assert len(rows[0]) == len(rows[1]) > 100
    distances = torch.cdist(*rows, p=float('inf'))
    nearest = torch.cat([rows[0] - rows[1][distances.argmin(dim=1)], rows[1] - rows[0][distances.argmin(dim=0)]]).abs()
    return nearest[:, :4].max().item(), nearest[:, 4].max().item() / 10


def check(together: OnlineDetector, alone: OnlineDetector, streams: list[list[Step]],
          rng: random.Random) -> tuple[float, float]:
    """Run the streams together and each alone; gives the largest differences in px and in score."""
    together.bank.clear()
    lengths = [len(history) for history in streams]
    worst_px = worst_score = 0.0
    for history, seen in zip(streams, run_together(together, streams, interleaved(lengths, rng)), strict=True):
        alone.bank.clear()
        [expected] = run_together(alone, [history], [[0]] * len(history))
        assert [frame.reset for frame in seen] == expected_resets(history)
        assert [frame.reset for frame in expected] == expected_resets(history)
        for frame, other in zip(seen, expected, strict=True):
            px, score = largest_difference(frame.sample, other.sample)
            worst_px, worst_score = max(worst_px, px), max(worst_score, score)
    assert worst_px < 1e-3
    assert worst_score < 1e-4
    return worst_px, worst_score


@pytest.fixture(scope='module')
def detectors():
    return detector_of(8), detector_of(1)


@settings(max_examples=4)
@given(streams=histories(streams=8, frames=4), seed=st.integers(0, 10**6))
def test_each_of_many_streams_gets_what_it_gets_alone(detectors, streams, seed):
    check(*detectors, streams, random.Random(seed))
