"""Choose the frames of a clip."""

from __future__ import annotations

import numpy as np
from mmdet.datasets.transforms import BaseFrameSample
from mmdet.registry import TRANSFORMS

from tsm_det.errors import InputError


@TRANSFORMS.register_module()
class ConsecutiveFrames(BaseFrameSample):
    """Sample ``num_frames`` frames of one video, ``stride`` frames apart.

    The clip contains the key frame (``key_frame_id``, an index into the video's frames; random if missing) at a random
    place, and never spans a gap in frame ids. If the part between two gaps is too short, its first frame is repeated in
    front, as if the camera had stood still before.

    Args:
        num_frames: T, frames per clip.
        stride: distance of sampled frames in the video's list of frames.
        max_gap: largest difference of neighbouring frame ids that a clip may span; 5 for data with every fifth frame.

    Raises InputError when every step of a video of three frames or more is a gap.
    """

    def __init__(self, num_frames: int, stride: int = 1, max_gap: int = 1) -> None:
        super().__init__()
        for key, number in (('num_frames', num_frames), ('stride', stride), ('max_gap', max_gap)):
            if number < 1:
                raise InputError(f'{key} is {number} but must be at least 1')
        self.num_frames = num_frames
        self.stride = stride
        self.max_gap = max_gap

    def transform(self, video_infos: dict) -> dict[str, list]:
        """Collate the sampled frames into a dict of lists of length T."""
        frame_ids = np.array([image['frame_id'] for image in video_infos['images']])
        key = video_infos.get('key_frame_id')
        if key is None:
            key = int(np.random.randint(len(frame_ids)))
        self._check_gaps(video_infos, frame_ids)
        return self.prepare_data(video_infos, self.indices(frame_ids, key))

    def indices(self, frame_ids: np.ndarray, key: int) -> list[int]:
        """Return indices of a random clip that contains the frame at index ``key``.

        Args:
            frame_ids: ``(F,)``, increasing.
            key: index into them.
        """
        starts = np.flatnonzero(np.diff(frame_ids) > self.max_gap) + 1
        first = max([0, *starts[starts <= key]])
        last = min([len(frame_ids), *starts[starts > key]]) - 1
        places = [place for place in range(self.num_frames)  # of the key in the clip
                  if key - place * self.stride >= first
                  and key + (self.num_frames - 1 - place) * self.stride <= last]
        if places:
            end = key + (self.num_frames - 1 - np.random.choice(places)) * self.stride
        else:
            end = key + (last - key) // self.stride * self.stride
            end = min(end, key + (self.num_frames - 1) * self.stride)
        earliest = end - (end - first) // self.stride * self.stride
        return [max(int(earliest), int(end) - back * self.stride) for back in reversed(range(self.num_frames))]

    def _check_gaps(self, video: dict, frame_ids: np.ndarray) -> None:
        steps = np.diff(frame_ids)
        if len(steps) > 1 and steps.min() > self.max_gap:
            raise InputError(
                f'the frame ids of video {video.get("name", video["video_id"])} are {steps.min()} or more apart but '
                f'max_gap is {self.max_gap}, so no clip has two frames: set max_gap of ConsecutiveFrames to '
                f'{steps.min()} if only some frames are in the data')
