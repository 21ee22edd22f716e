"""Run an exported model behind OnlineDetector, with the same streams as any other model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from tsm_det.config import load_config
from tsm_det.errors import InputError
from tsm_det.graphs.program import require_packages, site_names
from tsm_det.shift import ShiftState, map_state, tensors_of
from tsm_det.streams.frame_preparation import model_and_pipeline
from tsm_det.streams.offline_detector import OfflineDetector
from tsm_det.streams.online_detector import OnlineDetector


def open_detector(model: str, checkpoint: str | None = None, device: str = 'cpu', capacity: int = 64,
                  max_gap: int | None = None, cfg_options: dict | None = None, engine: str = 'eager',
                  trust_checkpoint: bool = False,
                  tracker: str | dict | None = None) -> OnlineDetector | OfflineDetector:
    """Build a detector from a config and a checkpoint, or from a ``.onnx`` file of tools/export_onnx.py alone.

    It is an OfflineDetector if the config's sites read future frames (``direction='both'``).

    A checkpoint of 'none' is random weights. The other arguments are those of :meth:`OnlineDetector.from_config`; with
    a ``.onnx`` file CUDA needs onnxruntime-gpu, and options and engines are refused.

    Raises:
        InputError: a file is missing or of the wrong kind, or an argument does not fit it.
    """
    if not model.endswith('.onnx'):
        config = load_config(model, cfg_options)
        network, pipeline = model_and_pipeline(
            config, None if checkpoint == 'none' else checkpoint, device, engine, trust_checkpoint=trust_checkpoint)
        tracker = tracker or config.get('tracker')
        if network.direction == 'past':
            return OnlineDetector(network, pipeline, capacity, max_gap, tracker)
        if max_gap is not None:
            raise InputError(f"--max-gap is {max_gap} but direction='both' has no streams to reset: leave it out")
        return OfflineDetector(network, pipeline, tracker)
    if engine != 'eager':
        raise InputError(f'--engine is {engine} but {model} runs in ONNX Runtime: leave it out, or give a config')
    if cfg_options:
        raise InputError(f'--cfg-options cannot change {model}: give them to tools/export_onnx.py')
    exported = ExportedModel(model, device)
    return OnlineDetector(exported, exported.prepare, capacity, max_gap, tracker)


class ExportedModel:
    """A ``.onnx`` file with the interface that OnlineDetector expects; the frames of a batch run one by one."""

    def __init__(self, path: str, device: str = 'cpu') -> None:
        require_packages('onnx', 'onnxruntime')
        if not Path(path).is_file():
            raise InputError(f'the model {path} is missing: write it with tools/export_onnx.py')
        provider = _provider(device)
        from tsm_det.export.runtime import Detector

        try:
            with _input_errors():
                self.runtime = Detector(path, [provider])
        except InputError:
            raise
        except Exception as error:  # onnxruntime has an exception for each way of failing
            raise InputError(f'{path} cannot be loaded ({" ".join(str(error).split())[:200]}): give a file of '
                             'tools/export_onnx.py') from error
        if tuple(self.runtime.meta['state']) not in (ShiftState._fields, ShiftState._fields[:2]):
            raise InputError(f'{path} has a state of {", ".join(self.runtime.meta["state"])} but this version streams '
                             f'{", ".join(ShiftState._fields)}: export the model again with tools/export_onnx.py')
        self.dataset_meta = {'classes': self.runtime.classes, 'value_range': self.runtime.meta.get('value_range')}
        self.data_preprocessor = _Stack()
        self._digest = hashlib.sha256(Path(path).read_bytes()).digest()

    def state_dict(self) -> dict[str, Tensor]:
        """A hash of the file, by which state files recognise their model."""
        return {'file': torch.tensor(list(self._digest), dtype=torch.uint8)}

    def prepare(self, data: dict) -> dict:
        """The pipeline: resize a frame to ``inputs`` ``(1, 3, h, w)`` uint8, with its ``data_samples``."""
        image = data['img'][0]
        with _input_errors():
            small = self.runtime.prepare(image)
        sample = DetDataSample(metainfo={
            'ori_shape': image.shape[:2], 'img_shape': small.shape[:2],
            'scale_factor': tuple(small.shape[side] / image.shape[side] for side in (1, 0)),
            'frame_id': data['frame_id'][0], 'video_id': data['video_id'][0]})
        return {'inputs': torch.from_numpy(small).permute(2, 0, 1)[None], 'data_samples': sample}

    def detect(self, clip: Tensor, data_samples: Sequence[DetDataSample], past: ShiftState | None = None,
               rescale: bool = True) -> tuple[list[DetDataSample], ShiftState]:
        """Like ``TSMFasterRCNN.detect``, for one frame per stream: ``clip`` is ``(N, 1, 3, h, w)`` uint8."""
        samples, presents = [], []
        for row, sample in enumerate(data_samples):
            image = np.ascontiguousarray(clip[row, 0].permute(1, 2, 0).numpy())
            named = None if past is None else {
                site: tensor[row:row + 1].numpy()
                for site, tensor in zip(site_names(past), tensors_of(past), strict=True)}
            with _input_errors():
                detections, present = self.runtime.step(image, named)
            boxes, scores, labels = map(torch.from_numpy, detections)
            if rescale:
                boxes = boxes * boxes.new_tensor([1 / factor for factor in sample.scale_factor] * 2)
            samples.append(sample.new())
            samples[-1].pred_instances = InstanceData(bboxes=boxes, scores=scores, labels=labels)
            presents.append(ShiftState(**{
                part: tuple(torch.from_numpy(present[f'{part}.{site}']) for site in range(len(shapes)))
                for part, shapes in self.runtime.meta['state'].items()}))
        return samples, map_state(lambda *rows: rows[0] if len(rows) == 1 else torch.cat(rows), *presents)


class _Stack:
    """The data preprocessor: batches the inputs; the graph does the rest."""

    pad_size_divisor = 1

    def __call__(self, data: dict, training: bool = False) -> dict:
        return {**data, 'inputs': torch.stack(data['inputs'])}


@contextmanager
def _input_errors() -> Iterator[None]:
    """Context manager: the runtime, which knows nothing of this package, raises ValueError for bad input."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from error


def _provider(device: str) -> str | tuple[str, dict]:
    import onnxruntime

    if device == 'cpu':
        return 'CPUExecutionProvider'
    if not re.fullmatch(r'cuda(:\d+)?', device):
        raise InputError(f'--device is {device!r} but must be cpu, cuda or e.g. cuda:0: change it, or leave it out')
    if 'CUDAExecutionProvider' not in onnxruntime.get_available_providers():
        raise InputError(f'--device is {device} but this onnxruntime has no CUDA: install onnxruntime-gpu, or leave '
                         '--device out')
    return 'CUDAExecutionProvider', {'device_id': torch.device(device).index or 0}
