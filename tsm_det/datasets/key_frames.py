"""Order training clips and distribute them over ranks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from typing import NamedTuple

import numpy as np
from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from tsm_det.datasets.coco_vid import CocoVIDDataset
from tsm_det.errors import InputError
from tsm_det.randomness import mix


class ClipIndex(NamedTuple):
    """Index of a training clip: the video, the key frame among its frames, and the seed of its augmentation."""

    video: int
    frame: int
    seed: int


@DATA_SAMPLERS.register_module()
class KeyFrameSampler(Sampler):
    """Yields one :class:`ClipIndex` per key frame, in a new order each epoch, without end.

    A still becomes a clip of T equal frames. To count as much as one frame of a video, only 1/T of the stills are in an
    epoch, a different part each time: T epochs contain every still once.

    Order and seeds depend on ``seed`` alone: a step has the same clips for any number of ranks, and a resumed training
    continues with the clips of an uninterrupted one. For ``IterBasedTrainLoop``.

    Args:
        dataset: its pipeline defines T.
        seed: the same on all ranks; None draws one.

    Raises InputError when the dataset has no key frame.
    """

    def __init__(self, dataset: CocoVIDDataset, seed: int | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.num_frames = dataset.clip_length
        videos, stills = [], []
        for place in range(len(dataset)):
            video = dataset.get_data_info(place)
            chosen = stills if video['is_still'] else videos
            chosen += [(place, k) for k, frame in enumerate(video['images']) if frame['is_vid_train_frame']]
        if not videos and not stills:
            raise InputError(f'{dataset.ann_file} has no frame with is_vid_train_frame, so no training clip: '
                             'convert it again, or remove that key from all frames')
        self.key_frames = np.array(videos, dtype=int).reshape(-1, 2)
        self.stills = np.array(stills, dtype=int).reshape(-1, 2)
        self._skipped = 0

    def epoch(self, number: int) -> np.ndarray:
        """Return the clips of an epoch in order, ``(n, 2)``: video, frame."""
        period, part = divmod(number, self.num_frames)
        stills = np.random.default_rng([self.seed, period]).permutation(self.stills)
        drawn = np.concatenate([self.key_frames, np.array_split(stills, self.num_frames)[part]])
        return np.random.default_rng([self.seed, number, 1]).permutation(drawn)

    def __iter__(self) -> Iterator[ClipIndex]:
        clips = (clip for number in count() for clip in self.epoch(number).tolist())
        draws = (ClipIndex(*clip, mix(self.seed, place)) for place, clip in enumerate(clips))
        return islice(draws, self.rank + self._skipped * self.world_size, None, self.world_size)

    def __len__(self) -> int:
        """Approximate number of clips per epoch on this rank."""
        return -(-len(self.epoch(0)) // self.world_size)

    def skip(self, num_samples: int) -> None:
        """Skip the first ``num_samples`` clips of this rank; the runner calls this when it resumes."""
        self._skipped = num_samples
