"""Matching for all frames at once against one detection after the other."""

import numpy as np
import pytest

from tsm_det.evaluation import matching
from tsm_det.evaluation.matching import greedy_matches, overlapping_pairs, pair_iou


def one_after_the_other(found, truth, num_found, shared):
    matches, taken = [-1] * num_found, set()
    for one, box in zip(found.tolist(), truth.tolist(), strict=True):
        if matches[one] < 0 and box not in taken:
            matches[one] = box
            taken |= set() if shared[box] else {box}
    return matches


@pytest.mark.parametrize('seed', range(50))
def test_all_at_once_is_one_after_the_other(seed):
    rng = np.random.default_rng(seed)
    num_found, num_truth = rng.integers(1, 30), rng.integers(1, 12)
    wishes = [rng.permutation(num_truth)[:rng.integers(0, num_truth + 1)] for _ in range(num_found)]
    found = np.repeat(np.arange(num_found), [len(wish) for wish in wishes])
    truth, shared = np.concatenate(wishes), rng.random(num_truth) < 0.2
    matches = greedy_matches(found, truth, num_found, num_truth, shared)
    assert matches.tolist() == one_after_the_other(found, truth, num_found, shared)


def test_nothing_matches_nothing():
    nothing = np.zeros(0, int)
    assert greedy_matches(nothing, nothing, 2, 0).tolist() == [-1, -1]


@pytest.mark.parametrize('chunk', [1, 3, 100])
def test_pairs_lie_in_the_same_place_and_overlap(monkeypatch, chunk):
    monkeypatch.setattr(matching, '_CHUNK', chunk)
    rng = np.random.default_rng(chunk)
    found_places, truth_places = rng.integers(0, 4, 20), rng.integers(0, 5, 9)
    found, truth = (np.concatenate([rng.uniform(0, 30, (n, 2)), rng.uniform(1, 20, (n, 2))], axis=1) for n in (20, 9))
    pairs = overlapping_pairs(found_places, found, truth_places, truth)
    expected = [(i, k) for i in range(20) for k in range(9)
                if found_places[i] == truth_places[k] and pair_iou(found[[i]], truth[[k]])[0] > 0]
    assert list(zip(pairs.detection.tolist(), pairs.truth.tolist(), strict=True)) == expected
    assert pairs.iou.tolist() == pair_iou(found[pairs.detection], truth[pairs.truth]).tolist()


@pytest.mark.parametrize(('grown', 'expected'), [(0, 0), (1, 10 / 190), (2, 22 / 220)])
def test_boxes_that_touch_share_as_many_columns_as_they_are_grown(grown, expected):
    # 9 and 10 px wide, 9 px high: with a pixel more each 10x10 and 10x10 that share a column of 10.
    first, second = np.array([[0., 0, 9, 9]]), np.array([[9., 0, 9, 9]])
    assert pair_iou(first, second, grown)[0] == pytest.approx(expected)


def test_boxes_without_area_have_no_overlap():
    assert pair_iou(np.zeros((1, 4)), np.zeros((1, 4))).tolist() == [0]
