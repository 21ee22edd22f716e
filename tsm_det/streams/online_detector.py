"""The detector for users: images in, detections out, one state per stream."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
import torch
from mmdet.models import BaseDetector
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from tsm_det.errors import InputError
from tsm_det.shift_offline import NO_STREAM
from tsm_det.stream_bank import StreamBank
from tsm_det.streams.frame_preparation import check_image, model_and_pipeline, prepare_image
from tsm_det.streams.state_file import model_signature, read_state, write_state


class OnlineDetector:
    """Detects objects in streams, frame by frame, and keeps the state of each stream between calls.

    Threads may share a detector: they take turns. A forked process may not use it: it lacks torch's threads.

    Args:
        model: a temporal detector in eval mode.
        pipeline: turns ``{'img': [image], ...}`` into ``inputs`` ``(1, C, H, W)`` and ``data_samples``.
        capacity: largest number of streams; the least recently used is evicted first.
        max_gap: largest step of frame ids within a stream; None for any, 0 to start over at every frame.

    Raises InputError when the model reads future frames (``direction='both'``).
    """

    def __init__(self, model: BaseDetector, pipeline: Compose, capacity: int = 64, max_gap: int | None = None) -> None:
        if getattr(model, 'direction', 'past') == 'both':
            raise InputError(NO_STREAM)
        self.model = model
        self.pipeline = pipeline
        self.bank = StreamBank(capacity, max_gap)
        self._turn, self._process = threading.RLock(), os.getpid()

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name not in ('_turn', '_process')}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state, _turn=threading.RLock(), _process=os.getpid())

    @classmethod
    def from_config(cls, config: str | Config, checkpoint: str | None = None, device: str = 'cpu', capacity: int = 64,
                    max_gap: int | None = None, engine: str = 'eager',
                    cfg_options: dict | None = None, trust_checkpoint: bool = False) -> OnlineDetector:
        """Build a detector that prepares frames by the config's test pipeline.

        Args:
            config: path of a config file, or the config.
            checkpoint: path of the weights; None for random weights.
            device: e.g. 'cpu' or 'cuda:0'.
            capacity, max_gap: see the class.
            engine: how to run the model, one of ``tsm_det.engines.ENGINES``.
            cfg_options: dotted keys that override the config's.
            trust_checkpoint: load a checkpoint of more than tensors and plain values, which may run any program.
        """
        return cls(*model_and_pipeline(config, checkpoint, device, engine, cfg_options, trust_checkpoint), capacity,
                   max_gap)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.model.dataset_meta['classes']

    def __call__(self, image: np.ndarray) -> DetDataSample:
        """Detect in the next frame ``(H, W, 3)`` BGR uint8 of the default stream, whose id is None."""
        return self.detect_batch([image], [None])[0]

    @torch.no_grad()
    def detect_batch(self, images: Sequence[np.ndarray], stream_ids: Sequence[Hashable],
                     frame_ids: Sequence[int] | None = None) -> list[DetDataSample]:
        """Detect in one frame of each of several streams; streams may join and leave at any call.

        Args:
            images: ``(H, W, 3)`` BGR uint8, of any sizes: one forward per distinct padded size.
            stream_ids: stream of each image, without duplicates.
            frame_ids: from 0, increasing within a stream; None to count the frames.

        Returns:
            One sample per image: ``pred_instances`` with ``bboxes`` (x1, y1, x2, y2 in pixels of the image),
            ``scores``, ``labels``; ``metainfo['reset']`` is the reason why the stream started over, or None.

        Raises:
            ValueError: an image is not (H, W, 3) uint8 or too narrow to resize, an id occurs twice, the numbers of ids
                and images differ, there are more streams than the capacity, or this process was forked after the
                detector was made.
        """
        if os.getpid() != self._process:
            raise InputError(f'the detector was made in process {self._process} but is called in its fork '
                             f'{os.getpid()}: make it after the fork, or start processes by spawn')
        with self._turn:
            return self._detect_batch(images, stream_ids, frame_ids)

    def _detect_batch(self, images: Sequence[np.ndarray], stream_ids: Sequence[Hashable],
                      frame_ids: Sequence[int] | None) -> list[DetDataSample]:
        for image in images:
            check_image(image)
        self.bank.check_batch(stream_ids)
        if len({len(images), len(stream_ids), len(stream_ids if frame_ids is None else frame_ids)}) > 1:
            raise ValueError(f'{len(images)} images came for {len(stream_ids)} stream ids and '
                             f'{frame_ids and len(frame_ids)} frame ids: give one of each per image')
        if frame_ids is None:
            frame_ids = [self.bank.next_frame_id(stream_id) for stream_id in stream_ids]
        prepared = [self.prepare(*row) for row in zip(images, stream_ids, frame_ids, strict=True)]
        groups = self._by_padded_size(prepared)
        keys = [list(zip(*((stream_ids[i], frame_ids[i], images[i].shape[:2]) for i in group), strict=True))
                for group in groups]
        # Recall all before holding any: holding one group may evict a stream of another.
        recalled = [self.bank.recall(*key) for key in keys]
        samples: list[DetDataSample | None] = [None] * len(prepared)
        presents = []
        for group, (past, reasons) in zip(groups, recalled, strict=True):
            data = self.model.data_preprocessor(pseudo_collate([prepared[i] for i in group]), training=False)
            detected, present = self.model.detect(data['inputs'], data['data_samples'], past)
            presents.append(present)
            for i, sample, reason in zip(group, detected, reasons, strict=True):
                sample.set_metainfo({'reset': reason})
                samples[i] = sample
        for (ids, numbers, sizes), present in zip(keys, presents, strict=True):
            self.bank.hold(ids, numbers, sizes, present)
        return samples

    def reset(self, *stream_ids: Hashable) -> None:
        """Start these streams over at their next frame; all streams without an argument, the default one by None."""
        with self._turn:
            for stream_id in stream_ids or self.bank.stream_ids():
                self.bank.drop(stream_id)

    def save_state(self, path: str | os.PathLike) -> None:
        """Write the states of all streams to a file.

        Raises InputError when it cannot be written, or a stream id is not a string, a whole number or None.
        """
        with self._turn:
            held = self.bank.held()
        write_state(path, self.signature(), held)

    def load_state(self, path: str | os.PathLike) -> None:
        """Replace all streams by those of a file.

        On the CPU the next frames give the same detections, bit for bit, as without saving and loading.

        Raises:
            InputError: the file is missing, not a state file, of a model with other weights, shift, pipeline or
                engine, or has more streams than the capacity; the detector keeps its streams.
        """
        streams = read_state(path, self.signature())[0]
        with self._turn:
            self.bank.restore(streams)

    def signature(self) -> str:
        """Digest of the network and the frame preparation, which a state file must match."""
        value_range = self.model.dataset_meta.get('value_range')
        return model_signature(self.model, f'{self.transforms()!r}{value_range or ""}')

    def transforms(self) -> list:
        """The pipeline's transforms of one frame."""
        return [inner for step in getattr(self.pipeline, 'transforms', ())
                for inner in getattr(getattr(step, 'transforms', None), 'transforms', ())]

    def prepare(self, image: np.ndarray, stream_id: Hashable = None, frame_id: int = 0) -> dict:
        """Run the pipeline on a frame; raise InputError when it is too narrow to resize."""
        return prepare_image(self.pipeline, image, stream_id, frame_id)

    def _by_padded_size(self, prepared: list[dict]) -> list[list[int]]:
        divisor = self.model.data_preprocessor.pad_size_divisor
        groups = defaultdict(list)
        for i, data in enumerate(prepared):
            groups[tuple(-(-side // divisor) for side in data['inputs'].shape[-2:])].append(i)
        return list(groups.values())


def detections_of(sample: DetDataSample, classes: Sequence[str], score_thr: float = 0.0) -> list[dict]:
    """Detections of at least ``score_thr``, the highest-scoring first.

    Returns:
        ``{'bbox': [x1, y1, x2, y2], 'score', 'label', 'class'}`` per detection: px, label 0-based.
    """
    instances = sample.pred_instances.cpu()
    instances = instances[instances.scores.argsort(descending=True)]
    return [
        {'bbox': [round(side, 2) for side in box], 'score': round(score, 4), 'label': label, 'class': classes[label]}
        for box, score, label in zip(
            instances.bboxes.tolist(), instances.scores.tolist(), instances.labels.tolist(), strict=True)
        if score >= score_thr]
