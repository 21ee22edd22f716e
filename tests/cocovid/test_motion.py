"""Motion IoU on tracks that can be worked out by hand."""

import numpy as np
import pytest

from tsm_det.cocovid.motion import MOTION_RANGES, motion_iou

BOX = [10, 10, 10, 10]


def moved(steps, size=10):
    """Boxes of ``size`` px at these places along x."""
    return np.array([[x, 5, size, size] for x in steps], float)


def test_an_object_at_rest_has_1():
    assert motion_iou([3] * 5, range(5), [BOX] * 5).tolist() == [1] * 5


def test_a_step_of_half_a_width_costs_two_thirds():
    # 50 of 150 px^2 are shared with a neighbour, nothing with the next but one.
    values = motion_iou([1, 1, 1], [0, 1, 2], moved([0, 5, 10]))
    np.testing.assert_allclose(values, [(1 / 3 + 0) / 2, 1 / 3, (1 / 3 + 0) / 2], atol=1e-12)


def test_gaps_in_frame_ids_count_as_time_not_as_boxes():
    values = motion_iou([1, 1, 1], [0, 4, 30], moved([0, 5, 5]))
    np.testing.assert_allclose(values, [1 / 3, 1 / 3, np.nan], atol=1e-12)


@pytest.mark.parametrize(('distance', 'neighbours'), [(10, True), (11, False)])
def test_the_window_ends_with_the_tenth_frame(distance, neighbours):
    values = motion_iou([1, 1], [5, 5 + distance], [BOX, BOX])
    assert (values == 1).all() if neighbours else np.isnan(values).all()


def test_the_window_can_be_chosen():
    assert np.isnan(motion_iou([1, 1], [0, 3], [BOX, BOX], window=2)).all()


def test_a_box_that_is_alone_has_no_motion():
    assert np.isnan(motion_iou([1, 2], [0, 0], [BOX, BOX])).all()


def test_counting_a_box_itself_adds_one_iou_of_1():
    values = motion_iou([1, 1, 2], [0, 1, 0], [*moved([0, 5]), BOX], count_self=True)
    np.testing.assert_allclose(values, [(1 + 1 / 3) / 2, (1 + 1 / 3) / 2, 1], atol=1e-12)


def test_tracks_do_not_mix():
    values = motion_iou(['a', 'b', 'a', 'b'], [0, 0, 1, 1], moved([0, 50, 0, 55]))
    np.testing.assert_allclose(values, [1, 1 / 3, 1, 1 / 3], atol=1e-12)


def test_the_second_box_of_a_track_in_a_frame_is_a_neighbour_like_any_other():
    values = motion_iou([1, 1, 1], [0, 0, 1], moved([0, 5, 5]))
    np.testing.assert_allclose(values, [1 / 3, (1 / 3 + 1) / 2, (1 / 3 + 1) / 2], atol=1e-12)


def test_the_order_of_the_boxes_does_not_matter():
    rng = np.random.default_rng(0)
    tracks, frames = rng.integers(0, 4, 60), rng.permutation(60)
    boxes = np.concatenate([rng.uniform(0, 20, (60, 2)), rng.uniform(10, 30, (60, 2))], axis=1)
    order = rng.permutation(60)
    shuffled = motion_iou(tracks[order], frames[order], boxes[order])
    np.testing.assert_array_equal(shuffled, motion_iou(tracks, frames, boxes)[order])


@pytest.mark.parametrize('width', [7, 9])
def test_the_mean_of_equal_values_is_that_value(width):
    boxes = [[0, 0, 10, 10], [0, 0, width, 10], [0, 0, width, 10], [0, 0, width, 10]]
    assert motion_iou([1] * 4, range(0, 4), boxes)[0] == width / 10


def test_no_boxes_have_no_values():
    assert motion_iou([], [], np.zeros((0, 4))).shape == (0,)


def test_the_ranges_cover_everything_from_0_to_1():
    assert sorted(MOTION_RANGES.values()) == [(0, 0.7), (0.7, 0.9), (0.9, 1)]
