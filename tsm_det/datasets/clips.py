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
        first, last = self._without_gaps(frame_ids, key)
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

    def _without_gaps(self, frame_ids: np.ndarray, key: int) -> tuple[int, int]:
        """First and last index of the frames around the key that no gap divides."""
        starts = np.flatnonzero(np.diff(frame_ids) > self.max_gap) + 1
        return int(max([0, *starts[starts <= key]])), int(min([len(frame_ids), *starts[starts > key]])) - 1

    def _check_gaps(self, video: dict, frame_ids: np.ndarray) -> None:
        steps = np.diff(frame_ids)
        if len(steps) > 1 and steps.min() > self.max_gap:
            raise InputError(
                f'the frame ids of video {video.get("name", video["video_id"])} are {steps.min()} or more apart but '
                f'max_gap is {self.max_gap}, so no clip has two frames: set max_gap of ConsecutiveFrames to '
                f'{steps.min()} if only some frames are in the data')


@TRANSFORMS.register_module()
class SegmentedFrames(ConsecutiveFrames):
    """Sample a clip of several segments of one video, so that a RoI memory sees seconds in training.

    Each segment is a clip of :class:`ConsecutiveFrames`; ``segment`` is the number of a frame's segment, which
    ``PackTrackInputs(meta_keys=('segment',))`` passes on. The detector computes the features of each segment from an
    empty past, and its memory counts frames by their ids. Where a part between two gaps is too short, the segments
    before the key frame's repeat its first frame.

    Args:
        num_frames: T, frames per clip.
        segments: number of segments; divides ``num_frames``, and leaves two frames or more for each.
        distance: of the first frames of neighbouring segments, in frames of the video; a multiple of ``stride`` times
            the memory's ``every``, so that it keeps the first frame of each.
        kwargs: keys of :class:`ConsecutiveFrames`.

    Raises InputError when a number is out of range.
    """

    def __init__(self, num_frames: int, segments: int, distance: int, **kwargs) -> None:
        super().__init__(num_frames, **kwargs)
        if segments < 1 or num_frames % segments:
            raise InputError(f'segments is {segments} but must divide num_frames={num_frames}')
        if segments == num_frames > 1:
            raise InputError(f'segments and num_frames are {segments} but a segment needs two frames or more, which '
                             'show the memory how far apart neighbours are: choose fewer segments')
        if distance % self.stride:
            raise InputError(f'distance is {distance} but must be a multiple of stride={self.stride}')
        self.segment = ConsecutiveFrames(num_frames // segments, **kwargs)
        if distance <= (self.segment.num_frames - 1) * self.stride:
            raise InputError(f'distance is {distance} but a segment is as long: choose more than '
                             f'{(self.segment.num_frames - 1) * self.stride}')
        self.segments, self.distance = segments, distance

    def transform(self, video_infos: dict) -> dict[str, list]:
        """Collate the sampled frames into a dict of lists of length T."""
        frames = super().transform(video_infos)
        frames['segment'] = np.arange(self.segments).repeat(self.segment.num_frames).tolist()
        return frames

    def indices(self, frame_ids: np.ndarray, key: int) -> list[int]:
        """Return indices of a random clip that contains the frame at index ``key``."""
        own, (first, last) = self.segment.indices(frame_ids, key), self._without_gaps(frame_ids, key)
        places = [place for place in range(self.segments)  # of the key frame's segment
                  if own[0] - place * self.distance >= first
                  and own[-1] + (self.segments - 1 - place) * self.distance <= last]
        place = np.random.choice(places) if places else self.segments - 1
        return [max(first, index + int(number - place) * self.distance)
                for number in range(self.segments) for index in own]
