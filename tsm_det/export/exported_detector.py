"""An exported model in the place of a network: OnlineDetector keeps its streams as it keeps any other's."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from tsm_det.config import load_config
from tsm_det.errors import InputError
from tsm_det.export.graph import flat
from tsm_det.export.onnx import require_packages, site_names
from tsm_det.shift import ShiftState, map_state
from tsm_det.streams.online_detector import OnlineDetector


def open_detector(model: str, checkpoint: str | None = None, device: str = 'cpu', capacity: int = 64,
                  max_gap: int | None = None, cfg_options: dict | None = None, engine: str = 'eager') -> OnlineDetector:
    """A detector out of what a command line names.

    Args:
        model: path of a config, or of a ``.onnx`` file of tools/export_onnx.py, which needs no checkpoint.
        checkpoint: path of the weights, or 'none' for random ones.
        device: 'cpu' or e.g. 'cuda:0'; for a ``.onnx`` file, onnxruntime must have CUDA.
        capacity: most streams remembered at once.
        max_gap: largest difference of frame ids that a stream runs on over; None is any.
        cfg_options: dotted keys that override the config's.
        engine: how a config's model is run, one of ``tsm_det.engines.ENGINES``.

    Raises:
        InputError: a file is missing or of another kind, or the device is not there.
    """
    if not model.endswith('.onnx'):
        return OnlineDetector.from_config(load_config(model, cfg_options), None if checkpoint == 'none' else checkpoint,
                                          device, capacity, max_gap, engine=engine)
    if engine != 'eager':
        raise InputError(f'--engine is {engine} but {model} runs by ONNX Runtime: leave it out, or give a config')
    if cfg_options:
        raise InputError(f'{model} has no keys to override: give --cfg-options to tools/export_onnx.py')
    exported = ExportedModel(model, device)
    return OnlineDetector(exported, exported.prepare, capacity, max_gap)


class ExportedModel:
    """What OnlineDetector asks of a model, answered by ONNX Runtime.

    The graph has a batch of one frame: those of a batch run one after the other.

    Args:
        path: of the ``.onnx`` file.
        device: see :func:`open_detector`.
    """

    def __init__(self, path: str, device: str = 'cpu') -> None:
        require_packages('onnxruntime')
        if not Path(path).is_file():
            raise InputError(f'the model {path} is missing: have tools/export_onnx.py write it')
        from tsm_det.export.runtime import Detector

        try:
            self.runtime = Detector(path, [_provider(device)])
        except InputError:
            raise
        except Exception as error:  # onnxruntime has an exception of its own for each way of failing
            raise InputError(f'{path} cannot be loaded ({" ".join(str(error).split())[:200]}): give a file that '
                             'tools/export_onnx.py wrote') from error
        self.dataset_meta = {'classes': self.runtime.classes}
        self.data_preprocessor = _Stack()
        self._digest = hashlib.sha256(Path(path).read_bytes()).digest()

    def state_dict(self) -> dict[str, Tensor]:
        """What tells this model's states from another's."""
        return {'file': torch.tensor(list(self._digest), dtype=torch.uint8)}

    def prepare(self, data: dict) -> dict:
        """The pipeline: ``inputs`` ``(1, 3, h, w)`` uint8, and what is known of the frame."""
        image = data['img'][0]
        try:
            small = self.runtime.prepare(image)
        except ValueError as error:
            raise InputError(str(error)) from error
        scale = tuple(small.shape[side] / image.shape[side] for side in (1, 0))
        sample = DetDataSample(metainfo={
            'ori_shape': image.shape[:2], 'img_shape': small.shape[:2], 'scale_factor': scale,
            'frame_id': data['frame_id'][0], 'video_id': data['video_id'][0]})
        return {'inputs': torch.from_numpy(small).permute(2, 0, 1)[None], 'data_samples': sample}

    def detect(self, clip: Tensor, data_samples: Sequence[DetDataSample], past: ShiftState | None = None,
               rescale: bool = True) -> tuple[list[DetDataSample], ShiftState]:
        """As ``TSMFasterRCNN.detect`` for one frame a stream: ``clip`` is ``(N, 1, 3, h, w)`` uint8."""
        samples, presents = [], []
        for row, sample in enumerate(data_samples):
            image = np.ascontiguousarray(clip[row, 0].permute(1, 2, 0).numpy())
            (boxes, scores, labels), present = self.runtime.step(image, self._named(past, row))
            to_frame = boxes.dtype.type([1 / factor for factor in sample.scale_factor] * 2) if rescale else 1
            found = sample.new()
            found.pred_instances = InstanceData(
                bboxes=torch.from_numpy(boxes * to_frame), scores=torch.from_numpy(scores),
                labels=torch.from_numpy(labels))
            samples.append(found)
            presents.append(self._state(present))
        return samples, map_state(lambda *rows: rows[0] if len(rows) == 1 else torch.cat(rows), *presents)

    def _named(self, past: ShiftState | None, row: int) -> dict[str, np.ndarray] | None:
        if past is None:
            return None
        return {site: tensor[row:row + 1].numpy() for site, tensor in zip(site_names(past), flat(past), strict=True)}

    def _state(self, present: dict[str, np.ndarray]) -> ShiftState:
        return ShiftState(**{part: tuple(torch.from_numpy(present[f'{part}.{site}']) for site in range(len(shapes)))
                             for part, shapes in self.runtime.meta['state'].items()})


class _Stack:
    """The data preprocessor: all else is in the graph."""

    pad_size_divisor = 1

    def __call__(self, data: dict, training: bool = False) -> dict:
        return {**data, 'inputs': torch.stack(data['inputs'])}


def _provider(device: str) -> str | tuple[str, dict]:
    import onnxruntime

    if device == 'cpu':
        return 'CPUExecutionProvider'
    if not re.fullmatch(r'cuda(:\d+)?', device):
        raise InputError(f'--device is {device!r} but cpu, cuda or one such as cuda:0 is needed: change it, or leave '
                         'it out')
    if 'CUDAExecutionProvider' not in onnxruntime.get_available_providers():
        raise InputError(f'--device is {device} but this onnxruntime has no CUDA: install onnxruntime-gpu, or leave '
                         '--device out')
    return 'CUDAExecutionProvider', {'device_id': torch.device(device).index or 0}
