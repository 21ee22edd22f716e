"""Tiny folders of frames as images."""

import cv2
import numpy as np


def write_images(folder, names, size=(48, 64)):
    """Gray images of a size (H, W), suffix as the name says."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((*size, 3), 90, np.uint8))
