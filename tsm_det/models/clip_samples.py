"""The samples of clips and of their frames."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from torch import Tensor


def frames_of(samples: Sequence[DetDataSample] | Sequence[TrackDataSample]) -> list[DetDataSample]:
    """List the frames of clips in N-major order; samples of images pass through."""
    return [frame for sample in samples
            for frame in (sample.video_data_samples if isinstance(sample, TrackDataSample) else [sample])]


def frame_numbers(frames: Sequence[DetDataSample], num_clips: int) -> Tensor:
    """Numbers ``(N, T)`` of the frames in their streams, minus the first: ids in units of each clip's smallest step."""
    ids = torch.tensor([frame.frame_id for frame in frames]).view(num_clips, -1)
    steps = [min((step for step in of_clip if step > 0), default=1) for of_clip in ids.diff(dim=1).tolist()]
    return (ids - ids[:, :1]) // torch.tensor(steps).unsqueeze(1)


def clips_of(frames: list[DetDataSample], like: Sequence[TrackDataSample],
             reasons: Sequence[str | None]) -> list[TrackDataSample]:
    """Frames in clips like these; the first frame of each says why its stream was reset."""
    clips, rest = [], iter(frames)
    for source, reason in zip(like, reasons, strict=True):
        clip = source.new()
        clip.video_data_samples = [next(rest) for _ in range(len(source))]
        for index, frame in enumerate(clip.video_data_samples):
            frame.set_metainfo({'reset': reason if index == 0 else None})
        clips.append(clip)
    return clips
