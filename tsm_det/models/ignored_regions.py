"""Keep training from learning that ignored regions are background."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial

import torch
from mmdet.models.dense_heads import YOLOV3Head, YOLOXHead
from mmdet.models.roi_heads import MultiInstanceRoIHead
from mmdet.models.task_modules import AssignResult, BaseAssigner, DynamicSoftLabelAssigner, PointAssigner
from mmdet.structures.bbox import bbox_overlaps
from torch import nn

# Of the area of an anchor, a proposal or a cell, in one region; scoring takes as much of a detection.
_SHARE = 0.5
# Their losses count what has no box as background, whatever an assigner says.
_DEAF = (YOLOV3Head, YOLOXHead, MultiInstanceRoIHead)


def spare_ignored_regions(model: nn.Module) -> list[str]:
    """Let the heads of a detector neither learn background nor objects from what lies half in an ignored region.

    This is about anchors, proposals, and the cells of RTMDet. One that matches a box there still learns the box.

    Returns the names of the heads that cannot: their losses have no place for it.
    """
    unable = []
    for name, head in model.named_modules():
        assigners = list(_assigners(head))
        able = [] if isinstance(head, _DEAF) else [one for one in assigners if _takes_regions(one)]
        for assigner in able:
            assigner.assign = partial(_assign, assigner.assign, isinstance(assigner, DynamicSoftLabelAssigner))
        if not able and (assigners or (name in ('bbox_head', 'rpn_head') and hasattr(head, 'loss_by_feat'))):
            unable.append(f'{name} ({type(head).__name__})')
    return unable


def _assigners(head: nn.Module) -> Iterator[BaseAssigner]:
    """The assigners of a head: one per stage in a cascade; some heads have two that take turns."""
    for value in vars(head).values():
        yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, BaseAssigner))


def _takes_regions(assigner: BaseAssigner) -> bool:
    # Losses on points have no background.
    return not isinstance(assigner, PointAssigner) and (
        'gt_instances_ignore' in inspect.signature(assigner.assign).parameters)


def _assign(assign: Callable[..., AssignResult], of_cells: bool, *args, **kwargs) -> AssignResult:
    """Call ``assign``, then mark background in ignored regions as ignored (-1)."""
    result = assign(*args, **kwargs)
    given = inspect.signature(assign).bind(*args, **kwargs).arguments
    regions, boxes = given.get('gt_instances_ignore'), given['pred_instances'].priors
    if regions is not None and len(regions):
        if of_cells:  # x, y, width, height
            boxes = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)
        shares = bbox_overlaps(boxes, regions.bboxes, mode='iof').amax(1)
        result.gt_inds[(result.gt_inds == 0) & (shares >= _SHARE)] = -1
    return result
