"""Crops that keep a target in sight, as augmentation."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import BaseBoxes, autocast_box_type

_ANNOTATIONS = {'gt_bboxes', 'gt_bboxes_labels', 'gt_ignore_flags', 'gt_instances_ids'}


@TRANSFORMS.register_module()
class TargetCrop(BaseTransform):
    """Cuts a window of random size around a random box; inside ``TransformBroadcaster`` the same of every frame.

    Small targets in large frames then fill more of what a training step computes on. An image without boxes, and
    one in ``1 - prob``, is cut anywhere. In the later frames of a clip the target may leave the window.

    Changes ``img`` ``(H, W, 3)``, ``img_shape`` and the annotations: boxes are clipped, those outside left out.

    Args:
        height: smallest and largest height of the window, px.
        aspect: its width over its height.
        prob: how often it is laid around a box.

    Raises:
        ValueError: ``height`` is no range from 1, or ``aspect`` is not above 0, or ``prob`` is no share.
    """

    def __init__(self, height: tuple[int, int], aspect: float = 1.0, prob: float = 0.9) -> None:
        if not 1 <= height[0] <= height[1] or aspect <= 0 or not 0 <= prob <= 1:
            raise ValueError(f'height is {height}, aspect {aspect} and prob {prob} but a range from 1, a number above '
                             '0 and a number from 0 to 1 are needed')
        self.height = height
        self.aspect = aspect
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
        height = np.exp(np.random.uniform(*np.log(self.height)))
        size = np.clip(np.round([height, height * self.aspect]), 1, shape).astype(int)
        low, high = np.zeros(2), shape - size
        if len(boxes) and np.random.rand() < self.prob:
            x1, y1, x2, y2 = boxes.tensor[np.random.randint(len(boxes))].tolist()
            low = np.clip(np.ceil([y2, x2]) - size, low, high)
            high = np.maximum(np.clip(np.floor([y1, x1]), 0, high), low)
        return *np.random.randint(low, high + 1).tolist(), *size.tolist()
