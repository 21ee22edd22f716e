"""Windows of whole videos out of a dataloader of frames."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

import torch
from mmdet.datasets import BaseVideoDataset
from mmdet.structures import TrackDataSample
from torch.utils.data import DataLoader

from tsm_det.windows import windows


class WindowLoader:
    """Regroups the frames of a test dataloader into overlapping windows of one video and one frame size.

    Frames are read once. A batch has one window: ``inputs`` ``[(T, C, H, W)]`` and one ``TrackDataSample`` whose
    ``metainfo['keep']`` is the slice of the frames to score. Every frame of a video is kept once.

    Args:
        loader: frames of each video in order, as ``TrackImgSampler`` gives them.
        num_kept: frames to keep per window.
        margin: frames around them, see :func:`~tsm_det.windows.windows`.
    """

    def __init__(self, loader: DataLoader, num_kept: int, margin: int) -> None:
        self.loader, self.num_kept, self.margin = loader, num_kept, margin

    @property
    def dataset(self) -> BaseVideoDataset:
        """The dataset of the frames."""
        return self.loader.dataset

    def __len__(self) -> int:
        """Number of windows if no video changes its frame size."""
        return sum(1 for _, frames in groupby(self.loader.sampler, itemgetter(0))
                   for _ in windows(frames, self.num_kept, self.margin))

    def __iter__(self) -> Iterator[dict]:
        frames = ((images, clip) for batch in self.loader
                  for images, clip in zip(batch['inputs'], batch['data_samples'], strict=True))
        for _, video in groupby(frames, lambda frame: (frame[1][0].video_id, frame[1][0].ori_shape)):
            for window, keep in windows(video, self.num_kept, self.margin):
                sample = TrackDataSample(metainfo={'keep': keep})
                sample.video_data_samples = [clip[0] for _, clip in window]
                yield {'inputs': [torch.cat([images for images, _ in window])], 'data_samples': [sample]}
