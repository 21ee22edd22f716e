"""A detector for people: images in, detections out, one state a stream."""

from __future__ import annotations

import copy
import os
from collections import defaultdict
from collections.abc import Hashable, Sequence

import cv2
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from torch import nn

from tsm_det.config import dataset_config, load_config, override
from tsm_det.engines import with_engine
from tsm_det.errors import InputError
from tsm_det.models.loading import build_detector
from tsm_det.shift import ShiftState
from tsm_det.stream_bank import StreamBank
from tsm_det.streams.state_file import model_signature, read_state, write_state


class OnlineDetector:
    """Detects objects in streams, frame by frame, and remembers each stream between the calls.

    Args:
        model: a TSMFasterRCNN in eval mode.
        pipeline: turns ``{'img': [image], ...}`` into ``inputs`` ``(1, C, H, W)`` and ``data_samples``.
        capacity: most streams remembered at once; the least recently used leaves first.
        max_gap: largest difference of frame ids that a stream runs on over; None is any.
        max_bytes: most memory that the states may take; None is any.
    """

    def __init__(self, model: nn.Module, pipeline: Compose, capacity: int = 64, max_gap: int | None = None,
                 max_bytes: int | None = None) -> None:
        self.model = model
        self.pipeline = pipeline
        self.bank = StreamBank(capacity, max_gap, max_bytes)

    @classmethod
    def from_config(cls, config: str | Config, checkpoint: str | None = None, device: str = 'cpu',
                    capacity: int = 64, max_gap: int | None = None, max_bytes: int | None = None,
                    engine: str = 'eager', cfg_options: dict | None = None) -> OnlineDetector:
        """Build a detector that sees frames as the config's test pipeline prepares them.

        Args:
            config: path of a config file, or the config.
            checkpoint: path of its weights; None is random weights.
            device: e.g. 'cpu' or 'cuda:0'.
            capacity: most streams remembered at once.
            max_gap: largest difference of frame ids that a stream runs on over; None is any.
            max_bytes: most memory that the states may take; None is any.
            engine: how the model is run, one of ``tsm_det.engines.ENGINES``.
            cfg_options: dotted keys that override the config's.
        """
        config = copy.deepcopy(config) if isinstance(config, Config) else load_config(config)
        override(config, cfg_options or {})
        model = with_engine(build_detector(config, checkpoint, device), engine)
        pipeline = Compose(image_pipeline(dataset_config(config).pipeline))
        return cls(model, pipeline, capacity, max_gap, max_bytes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.model.dataset_meta['classes']

    def __call__(self, image: np.ndarray) -> DetDataSample:
        """Detect in the next frame ``(H, W, 3)`` BGR uint8 of the one stream of a detector used this way."""
        return self.detect_batch([image], [None])[0]

    @torch.no_grad()
    def detect_batch(self, images: Sequence[np.ndarray], stream_ids: Sequence[Hashable],
                     frame_ids: Sequence[int] | None = None) -> list[DetDataSample]:
        """Detect in one frame of each of several streams; streams may join and leave at any call.

        Args:
            images: ``(H, W, 3)`` BGR uint8, of any sizes: one forward per distinct padded size.
            stream_ids: whose frame each image is; no id twice.
            frame_ids: from 0, growing within a stream; None numbers the frames as they come.

        Returns:
            One sample an image: ``pred_instances`` with ``bboxes`` (x1, y1, x2, y2 in pixels of the
            image), ``scores``, ``labels``; ``metainfo['reset']`` says why the stream started afresh.

        Raises:
            ValueError: an image is not (H, W, 3) uint8 or too narrow to be resized, an id stands twice, there are
                not as many ids as images, or more streams than the capacity.
        """
        for image in images:
            _check_image(image)
        self.bank.check_batch(stream_ids)
        if len({len(images), len(stream_ids), len(stream_ids if frame_ids is None else frame_ids)}) > 1:
            raise ValueError(f'{len(images)} images came for {len(stream_ids)} stream ids and '
                             f'{frame_ids and len(frame_ids)} frame ids: give one of each for every image')
        if frame_ids is None:
            frame_ids = [self.bank.next_frame_id(stream_id) for stream_id in stream_ids]
        prepared = [self._prepare(*frame) for frame in zip(images, stream_ids, frame_ids, strict=True)]
        groups = self._by_padded_size(prepared)
        keys = [list(zip(*((stream_ids[i], frame_ids[i], images[i].shape[:2]) for i in group), strict=True))
                for group in groups]
        # All are recalled before any is held: holding one group may evict a stream of another.
        recalled = [self.bank.recall(*key) for key in keys]
        results: list[DetDataSample | None] = [None] * len(prepared)
        presents = []
        for group, (past, reasons) in zip(groups, recalled, strict=True):
            samples, present = self._detect_equal([prepared[i] for i in group], past)
            presents.append(present)
            for i, sample, reason in zip(group, samples, reasons, strict=True):
                sample.set_metainfo({'reset': reason})
                results[i] = sample
        for key, present in zip(keys, presents, strict=True):
            self.bank.hold(*key, present)
        return results

    def reset(self, stream_id: Hashable = None) -> None:
        """Start a stream afresh at its next frame; all streams when no id is given."""
        for held in self.bank.stream_ids() if stream_id is None else [stream_id]:
            self.bank.drop(held)

    def save_state(self, path: str | os.PathLike) -> None:
        """Write what is remembered of all streams to a file that holds tensors and plain values only.

        Raises:
            InputError: it cannot be written, or a stream id is neither a string nor a whole number.
        """
        write_state(path, self.signature(), self.bank.held())

    def load_state(self, path: str | os.PathLike) -> None:
        """Go on with the streams of a file, and forget all others.

        On the processor the next frames give bit for bit what they would have given without the detour.

        Raises:
            InputError: the file is missing, no such file, of a model with other weights, shift, pipeline or engine, or
                has more streams than there is room for; the detector goes on with those that it has.
        """
        self.bank.restore(read_state(path, self.signature()).streams)

    def signature(self) -> str:
        """A digest of the network and of how frames are prepared: states of another one mean nothing to this one."""
        steps = [inner for step in getattr(self.pipeline, 'transforms', ())
                 for inner in getattr(getattr(step, 'transforms', None), 'transforms', ())]
        return model_signature(self.model, repr(steps))

    def _prepare(self, image: np.ndarray, stream_id: Hashable, frame_id: int) -> dict:
        try:
            return self.pipeline({'img': [image], 'img_id': [frame_id], 'frame_id': [frame_id],
                                  'video_id': [stream_id], 'video_length': [1], 'ori_video_length': [1]})
        except cv2.error as error:
            raise InputError('the image is {}x{} px, which the pipeline cannot resize: give one that is less '
                             'narrow'.format(*image.shape[:2])) from error

    def _by_padded_size(self, prepared: list[dict]) -> list[list[int]]:
        divisor = self.model.data_preprocessor.pad_size_divisor
        groups = defaultdict(list)
        for i, data in enumerate(prepared):
            groups[tuple(-(-side // divisor) for side in data['inputs'].shape[-2:])].append(i)
        return list(groups.values())

    def _detect_equal(self, batch: list[dict], past: ShiftState | None) -> tuple[list[DetDataSample], ShiftState]:
        data = self.model.data_preprocessor(pseudo_collate(batch), training=False)
        return self.model.detect(data['inputs'], data['data_samples'], past)


def image_pipeline(pipeline: Sequence[dict]) -> list[dict]:
    """A test pipeline over clips that takes the images themselves and no annotations.

    Raises:
        InputError: the pipeline has no TransformBroadcaster with a loader first in it.
    """
    steps = [dict(step) for step in pipeline]
    broadcaster = next((step for step in steps if step['type'].endswith('TransformBroadcaster')), None)
    if broadcaster is None or 'Load' not in broadcaster['transforms'][0]['type']:
        raise InputError('the test pipeline has no TransformBroadcaster that starts with a loader, which the pipeline '
                         'of a video detector has: take the one of configs/_base_/')
    broadcaster['transforms'] = [
        {'type': 'mmdet.LoadImageFromNDArray'},
        *(step for step in broadcaster['transforms'][1:] if 'Annotations' not in step['type'])]
    return steps


def _check_image(image: np.ndarray) -> None:
    if not isinstance(image, np.ndarray):
        raise ValueError(f'the image is {type(image).__name__} but an array (H, W, 3) uint8, BGR, is needed: '
                         'convert it, for example with numpy.asarray')
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8 and image.size:
        return
    if image.dtype != np.uint8:
        remedy = 'scale it, for example (image // 257).astype(numpy.uint8) for 16 bits'
    elif image.ndim == 2 or image.shape[2:] == (1,):
        remedy = 'a grey one becomes that by cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)'
    elif image.shape[2:] == (4,):
        remedy = 'one with alpha becomes that by cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)'
    else:
        remedy = 'give one image with pixels in it'
    raise ValueError(f'the image is {image.dtype} {image.shape} but (H, W, 3) uint8, BGR, is needed: {remedy}')
