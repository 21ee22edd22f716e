"""Load frames from image files and video files."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import TRANSFORMS

from tsm_det.errors import InputError
from tsm_det.video.decord_file import check_reader, open_frames
from tsm_det.video.levels import ValueRange, check_range, read_image, warn_of_lost_levels
from tsm_det.video.picture_count import check_single
from tsm_det.video.video_file import VideoFile


@TRANSFORMS.register_module()
class LoadFrame(LoadImageFromFile):
    """Load an image file, or frame ``frame_in_file`` of a video file.

    Takes ``img_path``, ``frame_in_file`` (0-based; None or absent: ``img_path`` is an image) and ``reader`` (None or
    absent: this class's). Adds ``img`` ``(H, W, 3)`` BGR in the displayed orientation, ``img_shape`` and ``ori_shape``
    ``(H, W)``.

    Keeps the last video file open, so that frames in order are read in order. A copy, in this process or another, opens
    its own.

    Args:
        reader: of video files: ``pyav``, or ``decord`` for the files that it reads exactly; see ``open_frames``.
        value_range: of images of 16 bits, and of gray or RGB video of 10 to 16 bits: the values that become black and
            white, or percentiles of each frame such as ``('1%', '99%')``; None keeps the upper eight bits, with a
            warning.
        kwargs: keys of ``LoadImageFromFile``; frames of video files use only ``to_float32``.

    Raises InputError when the file is missing or damaged, or the video lacks the frame.
    """

    def __init__(self, value_range: ValueRange | None = None, reader: str = 'pyav', **kwargs) -> None:
        super().__init__(**kwargs)
        check_reader(reader)
        check_range(value_range)
        self.reader, self.value_range = reader, value_range
        self._video: VideoFile | None = None

    def transform(self, results: dict) -> dict | None:
        """Add the image to ``results``."""
        path = results['img_path']
        if results.get('frame_in_file') is not None:
            if self._video is None or self._video.path != path:
                self._video = open_frames(path, results.get('reader') or self.reader, self.value_range)
            return self._add(self._video.read(results['frame_in_file']), results)
        check_single(path)
        try:
            if self.value_range is None:
                warn_of_lost_levels(path)
                return super().transform(results)
            return self._add(read_image(path, self.value_range), results)
        except FileNotFoundError as error:
            raise InputError(f'the image {path} is missing: check data_root and the file names in '
                             'the annotation file') from error
        except (OSError, AssertionError, cv2.error) as error:
            raise InputError(f'{path} cannot be read as an image: fetch it again, or give frame_in_file '
                             'if it is a video') from error

    def _add(self, image: np.ndarray, results: dict) -> dict:
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def __getstate__(self) -> dict:
        return {**self.__dict__, '_video': None}
