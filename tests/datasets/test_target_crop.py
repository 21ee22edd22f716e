"""Crops around targets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures.bbox import HorizontalBoxes

from tsm_det.datasets.augmentation import TargetCrop
from tsm_det.errors import InputError


def picture(height, width, boxes):
    """A picture whose pixels say where they were, and boxes whose label and id say which they were."""
    y, x = np.mgrid[:height, :width]
    order = np.arange(len(boxes))
    return dict(img=np.stack([y, x, y], axis=2).astype(np.uint8), gt_bboxes=HorizontalBoxes(np.array(boxes, float)),
                gt_bboxes_labels=order, gt_instances_ids=order + 7, gt_ignore_flags=order == 1)


def cut(crop, height, width, boxes, seed):
    """What the crop gives, and the top left corner (x, y) of its window."""
    np.random.seed(seed)
    result = crop(picture(height, width, boxes))
    top, left, _ = result['img'][0, 0]
    return result, np.array([left, top])


sides = st.integers(8, 120)
shares = st.floats(0, 1)


@settings(max_examples=200)
@given(sides, sides, sides, sides, st.lists(
    st.tuples(shares, shares, shares, shares), min_size=0, max_size=4), shares, st.integers(0, 2**31))
def test_the_window_lies_in_the_image_and_boxes_are_those_it_shows(
        height, width, rows, columns, places, prob, seed):
    boxes = [[x * (width - 4), y * (height - 4), x * (width - 4) + 1 + w * (width - 4) * (1 - x),
              y * (height - 4) + 1 + h * (height - 4) * (1 - y)] for x, y, w, h in places]
    result, corner = cut(TargetCrop((rows, columns), prob), height, width, np.reshape(boxes, (-1, 4)), seed)
    rows, columns = min(rows, height), min(columns, width)
    assert result['img_shape'] == result['img'].shape[:2] == (rows, columns)
    assert (result['img'][:, :, 1] == corner[0] + np.arange(columns)).all()
    ys = corner[1] + np.arange(rows)
    assert (result['img'][:, :, 0] == ys[:, None]).all()
    seen = []
    for number, box in enumerate(boxes):
        x1, y1, x2, y2 = np.array(box) - np.tile(corner, 2)
        if x1 < columns and y1 < rows and x2 > 0 and y2 > 0:
            seen.append((number, [max(x1, 0), max(y1, 0), min(x2, columns), min(y2, rows)]))
    assert result['gt_bboxes_labels'].tolist() == [number for number, _ in seen]
    assert result['gt_instances_ids'].tolist() == [number + 7 for number, _ in seen]
    assert result['gt_ignore_flags'].tolist() == [number == 1 for number, _ in seen]
    for box_in_window, (_, box) in zip(result['gt_bboxes'].tensor.tolist(), seen, strict=True):
        assert box_in_window == pytest.approx(box, abs=1e-3)


def test_a_target_that_fits_is_whole_wherever_it_lies():
    rng = np.random.default_rng(0)
    corners = set()
    for seed in range(200):
        x, y = rng.uniform(0, (100 - 12.5, 80 - 9.5))
        result, corner = cut(TargetCrop((20, 30), prob=1), 80, 100, [[x, y, x + 12.5, y + 9.5]], seed)
        x1, y1, x2, y2 = result['gt_bboxes'].tensor[0].tolist()
        assert (x2 - x1, y2 - y1) == pytest.approx((12.5, 9.5), abs=1e-3)
        corners.add(tuple((np.array([x, y]) - corner).round().tolist()))
    assert len(corners) > 100  # it is not always in the middle


def test_a_larger_target_fills_the_window_which_may_lie_at_any_of_its_ends():
    corners = np.array([cut(TargetCrop((20, 30), prob=1), 80, 100, [[10, 5, 80, 70]], seed)[1] for seed in range(300)])
    assert corners.min(0).tolist() == [10, 5]
    assert corners.max(0).tolist() == [50, 50]


def test_without_a_target_it_is_cut_anywhere():
    for boxes, prob in [(np.zeros((0, 4)), 1), ([[40, 40, 44, 44]], 0)]:
        corners = np.array([cut(TargetCrop((20, 25), prob=prob), 80, 100, boxes, seed)[1] for seed in range(300)])
        assert corners.min(0).tolist() == [0, 0]
        assert corners.max(0).tolist() == [75, 60]


@pytest.mark.parametrize('keys', [
    dict(size=(0, 5)), dict(size=(5,)), dict(size=(4, 5), prob=1.1), dict(size=(4, 5), prob=-0.1)])
def test_a_crop_that_cannot_be_is_refused(keys):
    with pytest.raises(InputError, match='size.*prob'):
        TargetCrop(**keys)
