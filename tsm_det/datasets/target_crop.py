"""Crops that keep a target in sight, as augmentation."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import BaseBoxes, autocast_box_type

from tsm_det.errors import InputError

_ANNOTATIONS = {'gt_bboxes', 'gt_bboxes_labels', 'gt_ignore_flags', 'gt_instances_ids'}


@TRANSFORMS.register_module()
class TargetCrop(BaseTransform):
    """Cuts a window of one size around a random box; inside ``TransformBroadcaster`` the same of every frame.

    Where targets are small and frames large, a step then sees more targets for its time. An image without boxes, and
    one in ``1 - prob``, is cut anywhere. In the later frames of a clip a target may leave the window.

    Changes ``img`` ``(H, W, 3)``, ``img_shape`` and the annotations: boxes are clipped, those outside left out.

    Args:
        size: height and width of the window, px; a smaller image is taken whole.
        prob: how often it is laid around a box.

    Raises:
        InputError: ``size`` is not two numbers from 1, or ``prob`` is no share.
    """

    def __init__(self, size: tuple[int, int], prob: float = 0.85) -> None:
        if len(size) != 2 or min(size) < 1 or not 0 <= prob <= 1:
            raise InputError(f'size is {size} and prob {prob} but two numbers from 1 and a number from 0 to 1 are '
                             'needed')
        self.size = size
        self.prob = prob

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Cut image and annotations."""
        top, left, height, width = self._window(results['img'].shape[:2], results['gt_bboxes'])
        results['img'] = results['img'][top:top + height, left:left + width]
        results['img_shape'] = results['img'].shape[:2]
        boxes = results['gt_bboxes']
        boxes.translate_([-left, -top])
        boxes.clip_(results['img_shape'])
        seen = boxes.is_inside(results['img_shape']).numpy()
        for key in _ANNOTATIONS & results.keys():
            results[key] = results[key][seen]
        return results

    @cache_randomness
    def _window(self, shape: tuple[int, int], boxes: BaseBoxes) -> tuple[int, int, int, int]:
        """Its top, left, height and width."""
        size = np.minimum(self.size, shape)
        low, high = np.zeros(2), shape - size
        if len(boxes) and np.random.rand() < self.prob:
            x1, y1, x2, y2 = boxes.tensor[np.random.randint(len(boxes))].tolist()
            ends = np.clip([np.ceil([y2, x2]) - size, np.floor([y1, x1])], low, high)
            low, high = ends.min(axis=0), ends.max(axis=0)
        return *np.random.randint(low, high + 1).tolist(), *size.tolist()
