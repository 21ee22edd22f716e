"""Intervals: they hold what they should as often as they say."""

import numpy as np
import pytest

from tsm_det.comparison.summary import Score, _difference
from tsm_det.evaluation.bootstrap import drawn_groups, paired_difference


def test_the_first_row_is_the_data_set_and_each_other_draws_as_many_groups():
    weights = drawn_groups(7, 500)
    assert weights.shape == (501, 7)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 7).all()
    assert weights[1:].mean(axis=0) == pytest.approx(np.ones(7), abs=0.2)
    assert (weights == drawn_groups(7, 500)).all()


def test_what_both_arms_share_cancels():
    shared = np.random.default_rng(0).random((3, 201))
    assert paired_difference(shared + 0.25, shared) == pytest.approx((0.25, 0.25, 0.25))


def test_a_draw_without_a_box_says_nothing():
    scores = np.array([[0.5, np.nan, 0.6, 0.4]])
    assert paired_difference(scores, np.zeros((1, 4))) == pytest.approx((0.5, 0.405, 0.595))
    assert np.isnan(paired_difference(np.array([[0.5, np.nan]]), np.zeros((1, 2))).low)


def test_the_interval_holds_the_seeds_too():
    still = np.full((4, 2001), 0.5)  # the videos do not matter here
    arm = still + np.array([[0.1], [0.2], [0.3], [0.4]])
    found = paired_difference(arm, still)
    assert found.mean == pytest.approx(0.25)
    assert 0.1 < found.low < 0.17
    assert 0.33 < found.high < 0.4


def test_the_interval_holds_the_true_difference_about_as_often_as_it_says():
    rng, held, trials = np.random.default_rng(1), 0, 300
    weights = drawn_groups(40, 400) / 40
    for _ in range(trials):
        # A score is the mean over videos; both arms share how hard a video is.
        hard = rng.normal(0, 3, 40)
        arms = [(hard + truth + rng.normal(0, 1, (8, 40)) + rng.normal(0, 0.1, (8, 1))) @ weights.T
                for truth in (0.3, 0.0)]
        found = paired_difference(*arms)
        held += found.low <= 0.3 <= found.high
    assert 0.88 <= held / trials <= 0.99


@pytest.mark.parametrize(('groups', 'has_interval'), [(1, False), (2, True)])
def test_one_group_of_videos_gives_no_interval(groups, has_interval):
    """Draws of it are all alike, and would say that the difference is certain."""
    draws = np.linspace(0, 0.1, 50)
    arm, baseline = ({seed: Score(9, groups, value + draws) for seed in (0, 1)} for value in (0.5, 0.4))
    found = _difference(arm, baseline)
    assert found['mean'] == pytest.approx(0.1)
    assert (found['low'] is not None, found['high'] is not None) == (has_interval, has_interval)
