"""Run a detector in OpenVINO with int8 convolutions, one graph per frame size."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor, nn

from tsm_det.errors import InputError
from tsm_det.graphs.program import check_detector, require_packages
from tsm_det.models.clip_samples import frames_of
from tsm_det.shift import ShiftState, map_state, tensors_of

Detections = tuple[Tensor, Tensor, Tensor]  # boxes (k, 4) in px of the network's input, scores (k,), labels (k,)


class Int8Detect:
    """``TemporalDetector.detect`` in OpenVINO; each frame size is quantised at its first frame, or read from the cache.

    A graph runs the frames of a batch one by one. States stay arguments and results, as in every engine.

    Args:
        model: on the CPU.
        config: its training data calibrate the graphs.

    Raises InputError when a package is missing, or the detector is not covered.
    """

    def __init__(self, model: nn.Module, config: Config) -> None:
        require_packages('openvino', 'openvino', 'nncf', 'onnx', 'onnxscript')
        if next(model.parameters()).is_cuda:
            raise InputError('openvino-int8 runs on the CPU: leave --device out')
        check_detector(model)
        self._model, self._config = model, config
        self._graphs: dict[tuple, CompiledGraph] = {}

    def __call__(self, clip: Tensor, data_samples: Sequence[DetDataSample] | Sequence[TrackDataSample],
                 past: ShiftState | None = None, rescale: bool = True) -> tuple[list[DetDataSample], ShiftState]:
        """See ``TemporalDetector.detect``."""
        frames, samples, presents = iter(frames_of(data_samples)), [], []
        for row, images in enumerate(clip):
            state = past and map_state(lambda sites, row=row: sites[row:row + 1], past)
            for image, frame in zip(images, frames, strict=False):
                detections, state = self._graph(frame.img_shape, image.shape[-2:])(image[None, None], state)
                samples.append(_sample(frame, detections, rescale))
            presents.append(state)
        return samples, map_state(lambda *rows: rows[0] if len(rows) == 1 else torch.cat(rows), *presents)

    def _graph(self, size: tuple[int, int], padded: tuple[int, int]) -> CompiledGraph:
        key = (*size, *padded)
        if key not in self._graphs:
            from tsm_det.engines.quantization import quantized  # needs nncf
            self._graphs[key] = CompiledGraph(quantized(self._model, self._config, key[:2], key[2:]))
        return self._graphs[key]


class CompiledGraph:
    """An OpenVINO model from a clip ``(1, 1, 3, H, W)`` and a past to detections and a present."""

    def __init__(self, model) -> None:
        # On CPUs with AMX or AVX512-BF16 OpenVINO would compute what is not int8 in bfloat16.
        self._request = core().compile_model(model, 'CPU', {
            'INFERENCE_PRECISION_HINT': 'f32', 'INFERENCE_NUM_THREADS': torch.get_num_threads(),
            'PERFORMANCE_HINT': 'LATENCY'}).create_infer_request()
        sites = {port.any_name: torch.zeros(*port.shape) for port in model.inputs[1:]}
        self._fresh = ShiftState(*(
            tuple(past for name, past in sites.items() if name.startswith(f'past.{part}.'))
            for part in ShiftState._fields))

    def __call__(self, clip: Tensor, past: ShiftState | None = None) -> tuple[Detections, ShiftState]:
        """Detect in a frame; None is the past of a new stream."""
        results = self._request.infer(self.inputs(clip, past), share_inputs=True)
        outputs = iter([torch.from_numpy(result) for result in results.values()])
        detections = next(outputs), next(outputs), next(outputs)
        return detections, map_state(lambda _: next(outputs), self._fresh)

    def inputs(self, clip: Tensor, past: ShiftState | None = None) -> list:
        """Arrays of the graph's inputs."""
        return [tensor.numpy() for tensor in (clip, *tensors_of(past or self._fresh))]


def _sample(frame: DetDataSample, detections: Detections, rescale: bool) -> DetDataSample:
    boxes, scores, labels = detections
    sample = frame.new()
    if rescale:
        boxes = boxes / boxes.new_tensor(frame.scale_factor).repeat(2)
    sample.pred_instances = InstanceData(bboxes=boxes, scores=scores, labels=labels)
    return sample


@cache
def core():
    """OpenVINO's ``Core``, one for the process.

    Each ``Core`` changes the stack on which signals are handled. When two end in the order they were made, freed memory
    stays in its place, and the next signal kills the process.
    """
    with without_telemetry():
        import openvino
    return openvino.Core()


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Context manager: packages imported in it cannot send usage statistics, as OpenVINO does when it is imported."""
    sys.modules['openvino_telemetry'] = None
    try:
        yield
    finally:
        del sys.modules['openvino_telemetry']
