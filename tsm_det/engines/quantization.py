"""Quantise the graph of a detector to int8 by the training frames of its config, and keep it on disk."""

from __future__ import annotations

import io
import logging
import math
import time
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from hashlib import sha256
from pathlib import Path

import torch
import torch.nn.functional as F
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from torch import Tensor, nn

from tsm_det.config import dataset_config
from tsm_det.config_errors import config_errors
from tsm_det.datasets.coco_vid import CocoVIDDataset
from tsm_det.engines.openvino import CompiledGraph, core, without_telemetry
from tsm_det.errors import InputError
from tsm_det.files import write_atomically
from tsm_det.graphs.graph import DetectorGraph
from tsm_det.graphs.program import build_graph, trace
from tsm_det.models.download import cache_folder
from tsm_det.sealed import check_intact, seal
from tsm_det.version import __version__

with without_telemetry():
    import nncf
    import openvino
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

# Calibration: frames from the start of each training video; at most so many videos, fewer when they have more pixels.
_FRAMES, _VIDEOS, _PIXELS = 8, 40, 30_000_000


def quantized(model: nn.Module, config: Config, size: tuple[int, int], padded: tuple[int, int]) -> openvino.Model:
    """Read the int8 graph of a detector from the cache, or make it.

    Args:
        model, config: as for :class:`~tsm_det.engines.openvino.Int8Detect`.
        size: (h, w) of the resized image.
        padded: (H, W) of the network's input.

    Raises InputError when the graph is not in the cache, and training frames are missing or it cannot be written.
    """
    path = cache_folder() / 'openvino' / f'{_key(model, config, size, padded)}.zip'
    if path.is_file():
        try:
            return _read(path)
        except InputError as error:
            print_log(f'{error}; quantising again', 'current', logging.WARNING)
    begin, videos = time.perf_counter(), training_videos(config)
    graph = build_graph(model, size, padded)
    exact = core().read_model(trace(
        _ClipGraph(graph), 'clip', torch.zeros(1, 1, 3, *padded), graph.fresh).model_proto.SerializeToString())
    with _quiet_nncf():
        model = nncf.quantize(
            exact, nncf.Dataset(_Inputs(exact, graph, videos)), preset=nncf.QuantizationPreset.MIXED,
            subset_size=_VIDEOS * _FRAMES, advanced_parameters=nncf.AdvancedQuantizationParameters(
                # The largest values of all frames. NNCF's default, their mean, cuts off small bright targets.
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX))
    _write(model, path)
    print_log('{}x{} px: quantised in {:.0f} s, kept as {}'.format(*size, time.perf_counter() - begin, path), 'current')
    return model


class _ClipGraph(nn.Module):
    """``DetectorGraph.detect`` as a module."""

    def __init__(self, detector: DetectorGraph) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, clip: Tensor, *pasts: Tensor) -> tuple[Tensor, ...]:
        return self.detector.detect(clip, self.detector.size, *pasts)


class _Inputs:
    """Iterates over inputs of the graph: training frames, each with the past that the exact graph gives it."""

    def __init__(self, exact: openvino.Model, graph: DetectorGraph, videos: CocoVIDDataset) -> None:
        self._compiled, self._graph, self._videos = CompiledGraph(exact), graph, videos

    def __iter__(self) -> Iterator[list]:
        past, videos = None, max(1, min(_VIDEOS, _PIXELS // (_FRAMES * math.prod(self._graph.padded))))
        for frame, data in some_frames(self._videos, videos):
            clip, past = self._clip(data), past if frame else None
            yield self._compiled.inputs(clip, past)
            _, past = self._compiled(clip, past)

    def _clip(self, data: dict) -> Tensor:
        """Preprocess a frame, resized to the graph's image."""
        (height, width), padded = self._graph.size, self._graph.padded
        image = F.interpolate(data['inputs'].float(), (height, width), mode='bilinear')
        preprocessor = self._graph.model.data_preprocessor
        clip = preprocessor(pseudo_collate([{**data, 'inputs': image}]), training=False)['inputs']
        return F.pad(
            clip[..., :height, :width], (0, padded[1] - width, 0, padded[0] - height), value=preprocessor.pad_value)


def training_videos(config: Config) -> CocoVIDDataset:
    """Build the training data of a config, to be read frame by frame through its test pipeline.

    Raises InputError when there is none.
    """
    try:
        with config_errors(config):
            return DATASETS.build({**dataset_config(config, 'train_dataloader'), 'test_mode': True,
                                   'pipeline': dataset_config(config).pipeline})
    except InputError as error:
        raise InputError(f'openvino-int8 is calibrated by the training data of the config, but {error}') from error


def some_frames(dataset: CocoVIDDataset, videos: int) -> Iterator[tuple[int, dict]]:
    """Yield the first frames of so many videos, each with its number in the video, from 0."""
    lengths = {index: info['video_length'] for index, info in enumerate(map(dataset.get_data_info, range(len(dataset))))
               if not info['is_still']}
    for index in list(lengths)[::max(1, len(lengths) // videos)][:videos]:
        for frame in range(min(_FRAMES, lengths[index])):
            yield frame, dataset.prepare_data((index, frame))


def _key(model: nn.Module, config: Config, size: tuple[int, int], padded: tuple[int, int]) -> str:
    """Digest of everything that the graph depends on, but the content of the training files."""
    described = [size, padded, config.model.to_dict(), dataset_config(config, 'train_dataloader'),
                 dataset_config(config).pipeline, __version__, openvino.__version__, nncf.__version__]
    digest = sha256(repr(described).encode())
    for name, tensor in model.state_dict().items():
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(path: Path) -> openvino.Model:
    check_intact(path, sealed=True)
    with zipfile.ZipFile(path) as parts:
        return core().read_model(parts.read('model.xml'), parts.read('model.bin'))


def _write(model: openvino.Model, path: Path) -> None:
    with write_atomically(path, RuntimeError) as temporary:
        openvino.save_model(model, temporary.with_name('model.xml'), compress_to_fp16=False)
        with zipfile.ZipFile(temporary, 'w') as parts:
            for name in ('model.xml', 'model.bin'):
                parts.write(temporary.with_name(name), name)
        temporary.write_bytes(seal(temporary.read_bytes()))


@contextmanager
def _quiet_nncf() -> Iterator[None]:
    """Context manager: silences NNCF's log, progress bar and numpy warnings."""
    # nncf.set_log_level would silence the handlers of all other logs too.
    logging.getLogger('nncf').setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter('ignore')
        yield
