"""Augmentation of clips: blur, and crops around targets."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import BaseBoxes, autocast_box_type

from tsm_det.errors import InputError

_ANNOTATIONS = {'gt_bboxes', 'gt_bboxes_labels', 'gt_ignore_flags', 'gt_instances_ids'}


@TRANSFORMS.register_module()
class RandomBlur(BaseTransform):
    """Blur ``img`` ``(H, W, 3)`` like a lens out of focus; ``TransformBroadcaster`` shares it over a clip.

    Args:
        prob: probability of a blur.
        sigma: smallest and largest standard deviation of the Gaussian, px.

    Raises:
        InputError: ``prob`` is outside 0 to 1, or ``sigma`` is not an increasing range above 0.
    """

    def __init__(self, prob: float = 0.3, sigma: tuple[float, float] = (0.3, 1.5)) -> None:
        if not 0 <= prob <= 1 or not 0 < sigma[0] <= sigma[1]:
            raise InputError(f'prob is {prob} and sigma {sigma}: set prob from 0 to 1 and sigma to a range above 0')
        self.prob = prob
        self.sigma = sigma

    @cache_randomness
    def _random_sigma(self) -> float | None:
        """Draw a sigma; None means no blur."""
        return np.random.uniform(*self.sigma) if np.random.rand() < self.prob else None

    def transform(self, results: dict) -> dict:
        """Blur the image with probability ``prob``."""
        sigma = self._random_sigma()
        if sigma is not None:
            results['img'] = cv2.GaussianBlur(results['img'], (0, 0), sigma)
        return results


@TRANSFORMS.register_module()
class TargetCrop(BaseTransform):
    """Crop a window around a random box; ``TransformBroadcaster`` shares the window over a clip.

    Small targets in large frames then fill more of each training step. Without boxes, and with probability
    ``1 - prob``, the window lies anywhere. A target may leave the window in later frames of the clip.

    Changes ``img`` ``(H, W, 3)``, ``img_shape`` and the annotations: clips boxes, drops those outside the window.

    Args:
        size: height and width of the window, px; no larger than the image.
        prob: probability of a window around a box.

    Raises:
        InputError: ``size`` is not two numbers from 1, or ``prob`` is outside 0 to 1.
    """

    def __init__(self, size: tuple[int, int], prob: float = 0.85) -> None:
        if len(size) != 2 or min(size) < 1 or not 0 <= prob <= 1:
            raise InputError(f'size is {size} and prob {prob}: set size to two numbers from 1 and prob from 0 to 1')
        self.size = size
        self.prob = prob

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Crop image and annotations."""
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
        """Choose top, left, height and width, px."""
        size = np.minimum(self.size, shape)
        low, high = np.zeros(2), shape - size
        if len(boxes) and np.random.rand() < self.prob:
            x1, y1, x2, y2 = boxes.tensor[np.random.randint(len(boxes))].tolist()
            ends = np.clip([np.ceil([y2, x2]) - size, np.floor([y1, x1])], low, high)
            low, high = ends.min(axis=0), ends.max(axis=0)
        return *np.random.randint(low, high + 1).tolist(), *size.tolist()
