"""Normalise and batch clips; resize all frames of a batch together."""

from __future__ import annotations

from mmdet.models import TrackDataPreprocessor
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample

from tsm_det.errors import InputError

_ALLOWED = ('BatchSyncRandomResize', 'BatchFixedSizePad')


@MODELS.register_module()
class ClipDataPreprocessor(TrackDataPreprocessor):
    """``TrackDataPreprocessor`` that takes images too, and applies batch augmentations to all frames of a batch.

    mmdet's own applies them to clips of one frame only. Raises InputError when an augmentation is not one of
    ``BatchSyncRandomResize`` and ``BatchFixedSizePad``.

    Args:
        batch_augments: as for ``DetDataPreprocessor``.
        kwargs: keys of ``TrackDataPreprocessor``.
    """

    def __init__(self, *args, batch_augments: list[dict] | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if others := [augment['type'] for augment in batch_augments or () if augment['type'] not in _ALLOWED]:
            raise InputError(f'batch_augments has {", ".join(others)} but clips allow {" and ".join(_ALLOWED)} only: '
                             'remove the others')
        self.clip_augments = [MODELS.build(augment) for augment in batch_augments or ()]

    def forward(self, data: dict, training: bool = False) -> dict:
        """Batch clips ``(T, C, H, W)`` to ``(N, T, C, H, W)``, or images ``(C, H, W)`` to ``(N, C, H, W)``."""
        is_clip = data['inputs'][0].ndim == 4
        if not is_clip:
            data = {'inputs': [image.unsqueeze(0) for image in data['inputs']],
                    'data_samples': data.get('data_samples') and [_clip_of(sample) for sample in data['data_samples']]}
        data = super().forward(data, training)
        clip, samples = data['inputs'], data['data_samples']
        frames = clip.flatten(0, 1)
        if training:
            framed = [frame for sample in samples for frame in sample.video_data_samples]
            for augment in self.clip_augments:
                frames, framed = augment(frames, framed)
        if is_clip:
            return {'inputs': frames.unflatten(0, clip.shape[:2]), 'data_samples': samples}
        return {'inputs': frames, 'data_samples': samples and [sample[0] for sample in samples]}


def _clip_of(sample: object) -> TrackDataSample:
    clip = TrackDataSample()
    clip.video_data_samples = [sample]
    return clip
