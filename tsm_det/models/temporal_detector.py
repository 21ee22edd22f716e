"""A mixin that makes any mmdet detector temporal: a clip and a state in, detections and a new state out."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from mmdet.models import BaseDetector, DetDataPreprocessor
from mmdet.models.dense_heads import RPNHead
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.config import ConfigDict
from mmengine.model import BaseModule
from torch import Tensor, nn

from tsm_det.errors import InputError
from tsm_det.models.autocast import head_on_maps, in_float32, on_maps, only_on_maps
from tsm_det.models.clip_samples import clips_of, frame_numbers, frames_of
from tsm_det.models.memory_roi_head import MemoryTape
from tsm_det.models.shared_pasts import SharedPasts
from tsm_det.shift import ShiftState
from tsm_det.shift_offline import NO_STREAM
from tsm_det.sites import TemporalModule
from tsm_det.stream_bank import StreamBank

# Types of mmdet's parts, and what takes their place.
_REPLACED = {DetDataPreprocessor: 'ClipDataPreprocessor', RPNHead: 'TopKRPNHead', StandardRoIHead: 'TopKRoIHead'}


@dataclass
class _Detection:
    """A call of ``detect`` in this thread: past and frames to keep for ``extract_feat``, and the present it gives."""

    past: ShiftState | None
    keep: slice
    present: ShiftState = field(init=False)


class _Running(threading.local):
    detection: _Detection | None = None
    segments: int = 1  # per training clip


_running = _Running()


class TemporalDetector(BaseDetector):
    """Mixin in front of an mmdet detector whose backbone, and maybe neck, is temporal.

    Images ``(N, C, H, W)`` with ``DetDataSample`` run as in mmdet: each image is the first frame of its own stream.
    Clips ``(N, T, C, H, W)`` with ``TrackDataSample`` train from an empty past; ``predict`` continues the streams that
    the detector's bank holds.

    A detector whose backbone or neck has ``direction='both'`` is for recordings: ``predict`` takes the windows of a
    :class:`~tsm_det.datasets.window_loader.WindowLoader`, and there are no streams.

    Args:
        streams: keys of the :class:`StreamBank`; ``capacity`` is at least the test batch size.
        window: frames to detect in per window of a recording; memory grows with ``window + 2 * margin`` frames.
        kwargs: the parent's keys; mmdet's ``DetDataPreprocessor`` becomes a :class:`ClipDataPreprocessor`, and its
            ``RPNHead`` and ``StandardRoIHead`` the faster ones of :mod:`tsm_det.models.box_selection`. Raises TypeError
            when the backbone is not temporal, or a temporal part is neither the backbone nor the neck, nor one of a
            list of necks.
    """

    def __init__(self, *args, streams: dict | None = None, window: int = 32, **kwargs) -> None:
        super().__init__(*args, **{key: _replaced(value) for key, value in kwargs.items()})
        if not hasattr(self.backbone, 'forward_clip'):
            raise TypeError(f'the backbone is {type(self.backbone).__name__} but must have forward_clip: put TSM in '
                            'front of its type (shift_stages=() switches its shift off)')
        temporal = [name for name, module in self.named_modules() if hasattr(module, 'signature')]
        temporal = [name for name in temporal if name != 'roi_head.memory']
        if len(temporal) > 2 or any(not re.fullmatch(r'backbone|neck(\.\d+)?', name) for name in temporal):
            raise TypeError(f'{", ".join(temporal)} are temporal but only the backbone and one neck can be: remove TSM '
                            'from the types of the others')
        if window < 1:
            raise InputError(f'window is {window} but must be at least 1')
        if getattr(self, 'with_rpn', False):
            head_on_maps(self.rpn_head)
        self._shared_pasts = SharedPasts(self.backbone, next(iter(self._necks()), None))
        self.window = window
        self.streams = StreamBank(**(streams or {}))
        if self.direction == 'both' and self._memory_sites():
            raise InputError("the roi_head has a memory of past frames but direction='both' detects in windows: use "
                             "direction='past', or roi_head.type='StandardRoIHead'")
        if self.direction == 'both' and self.streams.max_gap is not None:
            raise InputError(f"streams.max_gap is {self.streams.max_gap} but direction='both' has no streams: leave it "
                             'out')

    @property
    def direction(self) -> str:
        """'past' for streams, 'both' for recordings."""
        return 'both' if any(part.direction == 'both' and part.sites for part in self._temporal_parts()) else 'past'

    @property
    def margin(self) -> int:
        """How many frames away a frame can change detections: the most sites on a path."""
        return sum(part.reach for part in self._temporal_parts())

    def _temporal_parts(self) -> list[TemporalModule]:
        return [part for part in (self.backbone, *self._necks()) if hasattr(part, 'forward_clip')]

    def extract_clip(self, clip: Tensor, past: ShiftState | None = None) -> tuple[tuple[Tensor, ...], ShiftState]:
        """Compute the features of a clip; engines replace this method.

        Args:
            clip: ``(N, T, C, H, W)``, normalised, oldest frame first.
            past: the state this network returned for the frames before; None at the start of the streams.

        Returns:
            The levels ``(N*T, C, H_i, W_i)`` and the past of the next clip.
        """
        past = past or ShiftState(backbone=(), neck=())
        feats, backbone = self.backbone.forward_clip(clip, past.backbone)
        neck = ()
        for part in self._necks():
            if hasattr(part, 'forward_clip'):
                feats, neck = part.forward_clip(feats, clip.shape[1], self._shared_pasts.of_neck(past))
            else:
                feats = part(feats)
        return feats, ShiftState(backbone, self._shared_pasts.own(neck))

    def _necks(self) -> Iterable[BaseModule]:
        if not self.with_neck:
            return ()
        return self.neck if isinstance(self.neck, nn.Sequential) else (self.neck,)

    def _memory_sites(self) -> tuple[str, ...]:
        memory = getattr(getattr(self, 'roi_head', None), 'memory', None)
        return memory.sites if memory else ()

    def detect(self, clip: Tensor, data_samples: Sequence[DetDataSample] | Sequence[TrackDataSample],
               past: ShiftState | None = None, rescale: bool = True,
               keep: slice = slice(None)) -> tuple[list[DetDataSample], ShiftState]:
        """Detect objects in a clip that continues ``past``. Pure: keeps no state and changes no argument.

        Args:
            clip, past: as for :meth:`extract_clip`.
            data_samples: meta information of the N*T frames in N-major order, or of the N clips.
            rescale: boxes in px of the source frame; else of the network's input.
            keep: frames of each clip to detect in; the others only lend their features.

        Returns:
            New samples of the kept frames with ``pred_instances``, in N-major order, and the past of the next clip.
        """
        frames, num_frames = frames_of(data_samples), clip.shape[1]
        samples = [frame.new() for row in range(len(clip))
                   for frame in frames[row * num_frames:(row + 1) * num_frames][keep]]
        detection = _Detection(past, keep)
        outer, _running.detection = _running.detection, detection
        try:
            with only_on_maps(clip.device.type), self._memory(clip, past.memory if past else ()) as tape:
                samples = super().predict(clip, samples, rescale)
            return samples, detection.present._replace(memory=tape.present(self._memory_sites()))
        finally:
            _running.detection = outer

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """Features of images ``(N, C, H, W)`` or of clips ``(N, T, C, H, W)``, from an empty past outside of detect."""
        clip = batch_inputs if batch_inputs.ndim == 5 else batch_inputs.unsqueeze(1)
        detection = _running.detection
        clip = clip.unflatten(1, (_running.segments, -1)).flatten(0, 1)
        with on_maps(clip.device.type):
            past = detection.past._replace(memory=()) if detection and detection.past else None
            feats, present = self.extract_clip(clip, past)
        feats = in_float32(feats)
        if detection is None:
            return feats
        detection.present = present
        feats = tuple(level.unflatten(0, clip.shape[:2])[:, detection.keep].flatten(0, 1) for level in feats)
        if clip.shape[0] > 1:
            # mmdet's RoI extractor adds 0 * sum(level): one stream's NaN would spread to all.
            feats = tuple(level.nan_to_num(nan=0, posinf=0, neginf=0) for level in feats)
        return feats

    def loss(self, batch_inputs: Tensor, batch_data_samples: Sequence) -> dict:
        """Losses over all frames of the clips (or images). On a CPU, autocast holds for backbone, neck and RPN only."""
        device, frames = batch_inputs.device.type, frames_of(batch_data_samples)
        outer, _running.segments = _running.segments, 1 + frames[-1].metainfo.get('segment', 0)
        numbers = frame_numbers(frames, len(batch_inputs)).to(device) if _running.segments > 1 else None
        try:
            with only_on_maps(device) if device == 'cpu' else nullcontext(), self._memory(batch_inputs, (), numbers):
                return super().loss(batch_inputs, frames)
        finally:
            _running.segments = outer

    def _forward(self, batch_inputs: Tensor, batch_data_samples: Sequence | None = None) -> tuple:
        with self._memory(batch_inputs):
            return super()._forward(batch_inputs, batch_data_samples and frames_of(batch_data_samples))

    def _memory(self, batch_inputs: Tensor, past: Sequence[Tensor] = (), numbers: Tensor | None = None) -> MemoryTape:
        """Context manager: the RoI memory, if there is one, at clips or images that continue its past."""
        clip_shape = batch_inputs.shape[:2] if batch_inputs.ndim == 5 else (len(batch_inputs), 1)
        return MemoryTape(len(self._memory_sites()), clip_shape, past, numbers=numbers)

    def predict(self, batch_inputs: Tensor, batch_data_samples: Sequence, rescale: bool = True) -> list:
        """Detect objects; clips continue the streams held for their ``video_id``.

        Returns new samples of the same kind, with ``pred_instances``. ``metainfo['reset']`` of a clip's first frame is
        the reason why its stream started over, None while it continues. Raises InputError when a frame is flipped
        (test-time augmentation), or the batch exceeds the bank's capacity.

        Args:
            batch_inputs: clips ``(N, T, C, H, W)``, or images ``(N, C, H, W)``.
            batch_data_samples: one ``TrackDataSample`` per clip, whose frames have ``video_id``, ``frame_id`` and
                ``ori_shape``; or one ``DetDataSample`` per image.
            rescale: boxes in px of the source frame.
        """
        if batch_inputs.ndim == 4:
            return super().predict(batch_inputs, batch_data_samples, rescale)
        clips = [frames_of([sample]) for sample in batch_data_samples]
        if any(frame.metainfo.get('flip') for frames in clips for frame in frames):
            raise InputError('a frame is flipped but a stream has one view of each frame: test without '
                             'test-time augmentation (--tta)')
        if self.direction == 'both':
            return self._predict_window(batch_inputs, batch_data_samples, rescale)
        video_ids = [frames[0].metainfo['video_id'] for frames in clips]
        sizes = [tuple(frames[0].metainfo['ori_shape'][:2]) for frames in clips]
        past, reasons = self.streams.recall(video_ids, [frames[0].metainfo['frame_id'] for frames in clips], sizes)
        samples, present = self.detect(batch_inputs, batch_data_samples, past, rescale)
        self.streams.hold(video_ids, [frames[-1].metainfo['frame_id'] for frames in clips], sizes, present)
        return clips_of(samples, batch_data_samples, reasons)

    def _predict_window(self, batch_inputs: Tensor, windows: Sequence[TrackDataSample], rescale: bool) -> list:
        if len(windows) > 1 or 'keep' not in windows[0].metainfo:
            raise InputError(NO_STREAM)
        kept = windows[0].new()
        kept.video_data_samples, _ = self.detect(batch_inputs, windows, None, rescale, windows[0].metainfo['keep'])
        return [kept]

    def train(self, mode: bool = True) -> nn.Module:
        """Set the mode; training forgets all streams, which belong to the weights that made them."""
        if mode:
            self.streams.clear()
        return super().train(mode)


def _replaced(part: Any) -> Any:
    """The config of a part with the type that takes the place of mmdet's; anything else unchanged."""
    kind = part.get('type') if isinstance(part, dict) else None
    for old, new in _REPLACED.items():
        if kind in (old, old.__name__, f'mmdet.{old.__name__}'):
            return ConfigDict({**part, 'type': new})
    return part
