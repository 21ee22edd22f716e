"""The program of oracles: corrections help, and change nothing that is right."""

import sys
from pathlib import Path

import numpy as np
import pytest

from tsm_det.evaluation.tables import Detections, GroundTruth

sys.path.insert(0, str(Path(__file__).parents[2] / 'docs' / 'programs'))
from oracles import ORACLES, corrected, without_background


def truth_of(boxes, labels):
    n = len(boxes)
    return GroundTruth(
        frames=np.zeros(n, np.int64), labels=np.array(labels), boxes=np.array(boxes, float), crowd=np.zeros(n, bool),
        areas=np.ones(n), motion=np.full(n, np.nan))


def found_of(boxes, labels, scores):
    return Detections(np.zeros(len(boxes), np.int64), np.array(labels), np.array(boxes, float), np.array(scores))


NEIGHBOURS = [[0, 0, 10, 10], [3, 0, 10, 10]], [[0, 0, 10, 10], [8, 0, 10, 10]]


@pytest.mark.parametrize('oracle', ORACLES)
@pytest.mark.parametrize('boxes', NEIGHBOURS)
@pytest.mark.parametrize('labels', [(0, 0), (0, 1)])
@pytest.mark.parametrize('scores', [(0.9, 0.8), (0.9, 0.1)])
def test_right_detections_of_overlapping_objects_stay(oracle, boxes, labels, scores):
    found = found_of(boxes, labels, scores)
    for before, after in zip(found, corrected(truth_of(boxes, labels), found, *ORACLES[oracle]), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(('oracle', 'kept'), [('class', [0, 3]), ('box', [0, 1, 2, 3]), ('class and box', [0, 3])])
def test_each_oracle_corrects_its_errors_and_drops_duplicates(oracle, kept):
    truth = truth_of([[0, 0, 10, 10]], [1])
    # Of the wrong class, right but lower, wrong again, and far away.
    found = found_of([[0, 0, 10, 9], [0, 0, 10, 8], [1, 0, 10, 10], [50, 50, 9, 9]], [0, 1, 2, 1], [0.9, 0.8, 0.7, 0.6])
    after = corrected(truth, found, *ORACLES[oracle])
    assert list(after.scores) == list(found.scores[kept])
    right = after.scores == (0.8 if oracle == 'box' else 0.9)
    assert after.labels[right] == 1 and after.boxes[right].tolist() == [[0, 0, 10, 10]]
    assert without_background(truth, found).scores.tolist() == [0.9, 0.8, 0.7]


def test_a_loose_box_is_corrected_where_boxes_are_and_not_where_classes_are():
    truth, found = truth_of([[0, 0, 10, 10]], [1]), found_of([[5, 0, 10, 10]], [1], [0.9])
    assert corrected(truth, found, *ORACLES['class']).boxes.tolist() == [[5, 0, 10, 10]]
    for name in ('box', 'class and box'):
        assert corrected(truth, found, *ORACLES[name]).boxes.tolist() == [[0, 0, 10, 10]]
