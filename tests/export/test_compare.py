"""How detections of two engines are compared."""

import numpy as np
import pytest

from tests.streams.test_detect_sources import videos  # noqa: F401
from tsm_det.errors import InputError
from tsm_det.export.compare import Comparison, Found, compare_found, example_stream


def found(*rows):
    """Detections ``(x1, score, label)``, their boxes 10 px wide."""
    return Found(np.array([[x, 0, x + 10, 10] for x, *_ in rows], np.float32).reshape(-1, 4),
                 np.array([score for _, score, _ in rows], np.float32), np.array([label for *_, label in rows]))


@pytest.mark.parametrize(('one', 'other', 'expected'), [
    (found((0, 0.9, 1), (50, 0.8, 1)), found((50, 0.8, 1), (0, 0.9, 1)), (2, 0, 0, 0)),  # order says nothing
    (found((0, 0.9, 1)), found((0.5, 0.7, 1)), (1, 0.5, 0.2, 0)),
    (found((0, 0.9, 1)), found((0, 0.9, 2)), (0, 0, 0, 2)),
    (found((0, 0.9, 1)), found(), (0, 0, 0, 1)),
    (found(), found((0, 0.9, 1)), (0, 0, 0, 1)),
    (found((0, 0.9, 1)), found((0, 0.9, 1), (0, 0.9, 1)), (1, 0, 0, 1)),  # a box stands for one
    (found((0, 0.9, 1), (50, 0.05001, 1)), found((0, 0.9, 1)), (1, 0, 0, 0)),  # at the threshold
    (found((0, 0.9, 0), (9, 0.5, 1), (20, 0.4, 2)), found((0, 0.9, 0), (9, 0.5, 1), (40, 0.4, 3)), (2, 0, 0, 0)),
    (found((0, 0.9, 0), (9, 0.5, 1), (20, 0.4, 2)), found((0, 0.9, 0), (9, 0.5, 1), (40, 0.3, 3)), (2, 0, 0, 1)),
])
def test_detections_are_paired_by_label_and_place(one, other, expected):
    result = compare_found(one, other, score_thr=0.05, max_detections=3)
    assert (result.detections, result.alone) == (expected[0], expected[3])
    np.testing.assert_allclose((result.boxes_px, result.scores), expected[1:3], atol=1e-6)


def test_what_is_not_a_number_is_a_difference():
    result = compare_found(found((0, 0.9, 1), (50, 0.8, 1)), found((0, float('nan'), 1), (50, 0.8, 1)), 0.05, 3)
    assert not result._replace(boxes_px=0.0).agrees


@pytest.mark.parametrize(('difference', 'agrees'), [
    ({}, True), (dict(boxes_px=1.1e-3), False), (dict(scores=1.1e-4), False), (dict(state=1.1e-4), False),
    (dict(alone=1), False), (dict(state=float('nan')), False), (dict(frames=0), False),
    (dict(boxes_px=0.9e-3, scores=0.9e-4), True)])
def test_each_difference_alone_is_disagreement(difference, agrees):
    assert Comparison(**{'frames': 5, 'detections': 5, **difference}).agrees is agrees


def test_a_comparison_of_nothing_says_so():
    assert 'no box was compared' in str(Comparison(frames=2))
    assert 'no box was compared' not in str(Comparison(frames=2, detections=1))


def test_the_synthetic_frames_move():
    first, second = example_stream(2, (40, 60))
    assert first.shape == (40, 60, 3)
    assert np.abs(first.astype(int) - second).max() > 20


def test_frames_come_from_a_video(videos):  # noqa: F811
    assert [image.shape for image in example_stream(3, (128, 128), videos[0])] == [(128, 128, 3)] * 3
    with pytest.raises(InputError, match='has frames of 128x128 px but --size is 64 60: give one of that size'):
        list(example_stream(3, (64, 60), videos[0]))


def test_no_frames_are_refused():
    with pytest.raises(InputError, match='--verify is -1 but a number from 1 is needed'):
        list(example_stream(-1, (64, 60)))


