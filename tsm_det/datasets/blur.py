"""Blur as augmentation."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS

from tsm_det.errors import InputError


@TRANSFORMS.register_module()
class RandomBlur(BaseTransform):
    """Blurs an image as a lens out of focus does; inside ``TransformBroadcaster`` all frames of a clip alike.

    Changes ``img`` ``(H, W, 3)``.

    Args:
        prob: how often, from 0 to 1.
        sigma: smallest and largest standard deviation of the Gaussian, px.

    Raises:
        InputError: ``prob`` is no share, or ``sigma`` is no range above 0.
    """

    def __init__(self, prob: float = 0.3, sigma: tuple[float, float] = (0.3, 1.5)) -> None:
        if not 0 <= prob <= 1 or not 0 < sigma[0] <= sigma[1]:
            raise InputError(f'prob is {prob} and sigma {sigma} but a number from 0 to 1 and a range above 0 are '
                             'needed')
        self.prob = prob
        self.sigma = sigma

    @cache_randomness
    def _drawn_sigma(self) -> float | None:
        """None leaves the image as it is."""
        return np.random.uniform(*self.sigma) if np.random.rand() < self.prob else None

    def transform(self, results: dict) -> dict:
        """Blur the image, or not."""
        sigma = self._drawn_sigma()
        if sigma is not None:
            results['img'] = cv2.GaussianBlur(results['img'], (0, 0), sigma)
        return results
