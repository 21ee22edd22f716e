"""Detections of two engines are matched and compared."""

import numpy as np
import pytest

from tests.streams.test_detect_sources import videos  # noqa: F401
from tsm_det.errors import InputError
from tsm_det.export.parity import Parity, compare_detections, example_stream


def detections(*rows):
    """Boxes 10 px wide, scores and labels of rows ``(x1, score, label)``."""
    return (np.array([[x, 0, x + 10, 10] for x, *_ in rows], np.float32).reshape(-1, 4),
            np.array([score for _, score, _ in rows], np.float32), np.array([label for *_, label in rows]))


ONE = (0, 0.9, 1)


@pytest.mark.parametrize(('one', 'other', 'expected'), [
    ([ONE, (50, 0.8, 1)], [(50, 0.8, 1), ONE], (2, 0, 0, 0)),  # in any order
    ([ONE], [(0.5, 0.7, 1)], (1, 0.5, 0.2, 0)),
    ([ONE], [(0, 0.9, 2)], (0, 0, 0, 2)),
    ([ONE], [], (0, 0, 0, 1)),
    ([], [ONE], (0, 0, 0, 1)),
    ([ONE], [ONE, ONE], (1, 0, 0, 1)),  # each box matches once
    ([ONE, (50, 0.05001, 1)], [ONE], (1, 0, 0, 0)),  # at the threshold
    ([(0, 0.9, 0), (9, 0.5, 1), (20, 0.4, 2)], [(0, 0.9, 0), (9, 0.5, 1), (40, 0.4, 3)], (2, 0, 0, 0)),
    ([(0, 0.9, 0), (9, 0.5, 1), (20, 0.4, 2)], [(0, 0.9, 0), (9, 0.5, 1), (40, 0.3, 3)], (2, 0, 0, 1)),
])
def test_detections_are_matched_by_label_and_place(one, other, expected):
    result = compare_detections(detections(*one), detections(*other), score_thr=0.05, max_detections=3)
    assert (result.detections, result.unmatched) == (expected[0], expected[3])
    np.testing.assert_allclose((result.boxes_px, result.scores), expected[1:3], atol=1e-6)


def test_nan_is_a_difference():
    rows = (50, 0.8, 1)
    result = compare_detections(detections(ONE, rows), detections((0, float('nan'), 1), rows), 0.05, 3)
    assert not result._replace(boxes_px=0.0).agrees


@pytest.mark.parametrize(('difference', 'agrees'), [
    ({}, True), (dict(boxes_px=1.1e-3), False), (dict(scores=1.1e-4), False), (dict(state=1.1e-4), False),
    (dict(unmatched=1), False), (dict(state=float('nan')), False), (dict(frames=0), False),
    (dict(boxes_px=0.9e-3, scores=0.9e-4), True)])
def test_each_difference_alone_is_disagreement(difference, agrees):
    assert Parity(**{'frames': 5, 'detections': 5, **difference}).agrees is agrees


def test_a_comparison_without_detections_names_the_option_that_helps():
    assert '--source' in str(Parity(frames=2))
    assert '--source' not in str(Parity(frames=2, detections=1))


def test_the_synthetic_frames_move():
    first, second = example_stream(2, (40, 60))
    assert first.shape == (40, 60, 3)
    assert np.abs(first.astype(int) - second).max() > 20


def test_frames_come_from_a_video_of_the_right_size(videos):  # noqa: F811
    assert [image.shape for image in example_stream(3, (128, 128), videos[0])] == [(128, 128, 3)] * 3
    with pytest.raises(InputError, match='128x128 px .* --size is 64 60'):
        list(example_stream(3, (64, 60), videos[0]))
    with pytest.raises(InputError, match='--verify is -1 .* 1'):
        list(example_stream(-1, (64, 60)))
