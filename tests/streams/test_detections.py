"""Which detections are kept."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from tsm_det.streams.detections import Selection, detections_of

CLASSES = ('a', 'b', 'c')
BOX = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 30), st.integers(1, 30),
                st.integers(0, 100), st.integers(0, 2))


def sample_of(rows):
    sample = DetDataSample()
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor([[x, y, x + w, y + h] for x, y, w, h, *_ in rows], dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor([row[4] / 100 for row in rows]), labels=torch.tensor([row[5] for row in rows]).long())
    return sample


def overlap(one, other):
    (a, b, c, d), (e, f, g, h) = one['bbox'], other['bbox']
    shared = max(0, min(c, g) - max(a, e)) * max(0, min(d, h) - max(b, f))
    return shared / ((c - a) * (d - b) + (g - e) * (h - f) - shared)


@given(rows=st.lists(BOX, max_size=8), classes=st.none() | st.sets(st.sampled_from(CLASSES)),
       thrs=st.dictionaries(st.sampled_from(CLASSES), st.sampled_from([0, 0.25, 0.5, 1])),
       score_thr=st.sampled_from([0, 0.25, 0.75]), min_size=st.sampled_from([0, 5, 12.5]))
def test_the_kept_detections_are_those_that_meet_every_condition(rows, classes, thrs, score_thr, min_size):
    every = detections_of(sample_of(rows), CLASSES)
    assert len(every) == len(rows)
    assert detections_of(sample_of(rows), CLASSES, score_thr, Selection(classes, thrs, min_size)) == [
        box for box in every if (classes is None or box['class'] in classes)
        and box['score'] >= thrs.get(box['class'], score_thr)
        and min(box['bbox'][2] - box['bbox'][0], box['bbox'][3] - box['bbox'][1]) >= min_size]


@given(rows=st.lists(BOX, max_size=8, unique_by=lambda row: row[4]))
def test_of_overlapping_boxes_the_best_is_left_whatever_their_classes(rows):
    every = detections_of(sample_of(rows), CLASSES)
    left = detections_of(sample_of(rows), CLASSES, selection=Selection(is_agnostic=True))
    expected = []
    for box in every:  # the highest-scoring first
        if all(overlap(box, other) <= 0.5 for other in expected):
            expected.append(box)
    assert left == expected


def test_a_box_that_is_not_a_number_stays_to_be_reported():
    sample = sample_of([(0, 0, 5, 5, 90, 0)])
    sample.pred_instances.bboxes[0, 0] = float('nan')
    assert len(detections_of(sample, CLASSES, 0.5, Selection(min_size=2))) == 1


@pytest.mark.parametrize('keys', [{}, {'track_ids': [4, 0]}])
def test_a_track_id_stands_where_there_is_a_track(keys):
    sample = sample_of([(0, 0, 5, 5, 90, 0), (9, 9, 5, 5, 80, 1)])
    for key, value in keys.items():
        sample.pred_instances[key] = torch.tensor(value)
    assert [box.get('track_id') for box in detections_of(sample, CLASSES)] == ([4, None] if keys else [None, None])
