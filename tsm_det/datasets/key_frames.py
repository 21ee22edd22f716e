"""Order training clips and distribute them over ranks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, cycle, islice
from typing import NamedTuple

import numpy as np
from mmdet.registry import DATA_SAMPLERS
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from tsm_det.datasets.coco_vid import CocoVIDDataset, wrapper_error
from tsm_det.errors import InputError
from tsm_det.randomness import mix


class ClipIndex(NamedTuple):
    """Index of a training clip: the video, the key frame among its frames, and the seed of its augmentation."""

    video: int
    frame: int
    seed: int


@DATA_SAMPLERS.register_module()
class KeyFrameSampler(Sampler):
    """Yields one :class:`ClipIndex` per key frame, in a new order each epoch.

    A still becomes a clip of T equal frames. To count as much as one frame of a video, only 1/T of the stills are in an
    epoch, a different part each time: T epochs contain every still once.

    Order and seeds depend on ``seed`` alone: a step has the same clips for any number of ranks, and a resumed training
    continues with the clips of an uninterrupted one.

    Args:
        dataset: its pipeline defines T.
        seed: the same on all ranks; None draws one.
        by_epoch: end after each epoch, for ``EpochBasedTrainLoop``; else never, for ``IterBasedTrainLoop``.

    Raises InputError when the dataset has no key frame, or is not one of clips.
    """

    def __init__(self, dataset: CocoVIDDataset, seed: int | None = None, by_epoch: bool = False) -> None:
        if not isinstance(dataset, CocoVIDDataset):
            raise wrapper_error(dataset)
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
        self.by_epoch, self._epoch, self._skipped = by_epoch, 0, 0

    def epoch(self, number: int) -> np.ndarray:
        """Return the clips of an epoch in order, ``(n, 2)``: video, frame."""
        period, part = divmod(number, self.num_frames)
        stills = np.random.default_rng([self.seed, period]).permutation(self.stills)
        drawn = np.concatenate([self.key_frames, np.array_split(stills, self.num_frames)[part]])
        return np.random.default_rng([self.seed, number, 1]).permutation(drawn)

    def __iter__(self) -> Iterator[ClipIndex]:
        if self.by_epoch:
            clips = self.epoch(self._epoch).tolist()
            # Every rank takes as many steps: the first clips fill up.
            draws = (ClipIndex(*clip, mix(self.seed, self._epoch, place))
                     for place, clip in enumerate(islice(cycle(clips), len(self) * self.world_size)))
        else:
            clips = (clip for number in count() for clip in self.epoch(number).tolist())
            draws = (ClipIndex(*clip, mix(self.seed, place)) for place, clip in enumerate(clips))
        return islice(draws, self.rank + self._skipped * self.world_size, None, self.world_size)

    def __len__(self) -> int:
        """Number of clips of the current epoch on this rank; of the first one if the sampler never ends."""
        return -(-len(self.epoch(self._epoch)) // self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch to draw; the runner calls this before each epoch."""
        if self.by_epoch:
            self._epoch = epoch

    def skip(self, num_samples: int) -> None:
        """Skip the first ``num_samples`` clips of this rank; the runner calls this when it resumes."""
        self._skipped = num_samples
