"""Choosing boxes early gives what mmdet gives, bit for bit and equal scores included."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmcv.ops import nms
from mmdet.models.dense_heads import RPNHead
from mmdet.models.roi_heads import StandardRoIHead

from tests.tiny import frame_sample, random_clip, tiny_detector
from tsm_det.models.box_selection import best_as_sorted, best_by_place, first_kept, with_short_nms

SEEDS = st.integers(0, 10**6)
LEVELS = st.sampled_from((1, 2, 8, 100, 10**9))  # distinct scores: the fewer, the more are equal


def random_scores(n, levels, seed):
    return torch.randint(levels, (n,), generator=torch.Generator().manual_seed(seed)) / levels


def random_boxes(n, seed):
    generator = torch.Generator().manual_seed(seed)
    corners, sides = 60 * torch.rand(n, 2, generator=generator), 30 * torch.rand(n, 2, generator=generator)
    boxes = torch.cat([corners, corners + sides], dim=1)
    return boxes.round() if seed % 2 else boxes  # equal boxes and empty ones too


@given(n=st.integers(2, 2000), share=st.floats(0, 0.99), levels=LEVELS, seed=SEEDS, nan=st.booleans())
def test_the_best_scores_are_those_of_a_sort(n, share, levels, seed, nan):
    scores, count = random_scores(n, levels, seed), max(1, int(share * n))
    if nan:
        scores[seed % n] = torch.nan
    for choose, stable in ((best_as_sorted, False), (best_by_place, True)):
        expected, places = scores.sort(descending=True, stable=stable)
        best, chosen = choose(scores, count)
        assert torch.equal(chosen, places[:count])
        torch.testing.assert_close(best, expected[:count], rtol=0, atol=0, equal_nan=True)


@given(n=st.integers(1, 400), count=st.integers(1, 100), iou_thr=st.sampled_from((0.0, 0.3, 0.7, 1.0)), levels=LEVELS,
       seed=SEEDS)
def test_the_first_boxes_kept_are_those_of_the_whole_nms(n, count, iou_thr, levels, seed):
    boxes, scores = random_boxes(n, seed), random_scores(n, levels, seed)
    expected, places = nms(boxes, scores, iou_thr)
    kept, chosen = first_kept(boxes, scores, iou_thr, count)
    assert torch.equal(chosen, places[:count])
    assert torch.equal(kept, expected[:count])


def mmdets(model):
    """The same detector with mmdet's own heads."""
    model = copy.deepcopy(model)
    model.rpn_head.__class__, model.roi_head.__class__ = RPNHead, StandardRoIHead
    return model


@pytest.mark.parametrize('changes', [
    {}, dict(rpn_head=dict(loss_cls=dict(use_sigmoid=False))),
    dict(roi_head=dict(bbox_head=dict(reg_class_agnostic=True))),
    *(dict(test_cfg=limits) for limits in (
        dict(rpn=dict(nms_pre=7, max_per_img=3)), dict(rpn=dict(nms_pre=-1, min_bbox_size=5)),
        dict(rpn=dict(nms=dict(type='nms', iou_threshold=0.7, class_agnostic=True))),
        dict(rcnn=dict(nms=dict(type='soft_nms', iou_threshold=0.5))), dict(rcnn=dict(max_per_img=-1)),
        dict(rcnn=dict(score_thr=0.99)),
        dict(rcnn=dict(nms=dict(type='nms', iou_threshold=0.5, split_thr=10)))))], ids=str)
@torch.no_grad()
def test_detections_are_mmdets(changes):
    model = tiny_detector(**changes)
    for seed in range(3):
        clip, samples = random_clip(2, 1, seed), [frame_sample(video_id=1), frame_sample(video_id=2)]
        if seed == 2:  # all scores are equal
            model.rpn_head.rpn_cls.weight.zero_()
        for ours, theirs in zip(*(m.detect(clip, samples)[0] for m in (model, mmdets(model))), strict=True):
            assert ours.pred_instances.keys() == theirs.pred_instances.keys()
            for key, value in ours.pred_instances.items():
                assert torch.equal(value, theirs.pred_instances[key])


@torch.no_grad()
def test_frames_of_several_sizes_equal_mmdet():
    model = tiny_detector()
    for size in (64, 96, 64):
        clip, samples = random_clip(1, 1, size=size), [frame_sample(size=size)]
        [ours], [theirs] = (m.detect(clip, samples)[0] for m in (model, mmdets(model)))
        assert torch.equal(ours.pred_instances.bboxes, theirs.pred_instances.bboxes)


def test_an_nms_that_is_not_plain_stays():
    config = tiny_detector(test_cfg=dict(rcnn=dict(nms=dict(type='soft_nms', min_score=0.1)))).roi_head.test_cfg
    assert with_short_nms(config, 100) is config
