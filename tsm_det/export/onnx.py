"""Export a detector to an ONNX file that runs without torch and mmdet."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import torch
from mmdet.datasets.transforms import Resize
from torch.export import Dim

from tsm_det.errors import InputError
from tsm_det.export.state_layout import EXAMPLE_SIZES, Layout, fixed_layout, open_layout
from tsm_det.files import check_writable, write_bytes
from tsm_det.graphs.graph import DetectorGraph
from tsm_det.graphs.program import build_graph, check_detector, require_packages, trace
from tsm_det.locks import locked
from tsm_det.streams.online_detector import OnlineDetector
from tsm_det.version import __version__

_RUNTIME = Path(__file__).with_name('runtime.py')


def write_onnx(detector: OnlineDetector, size: tuple[int, int] | None, path: str | os.PathLike) -> Path:
    """Export a detector on the CPU, and copy ``runtime.py`` beside the file.

    The model is for source frames of ``size`` (H, W), and others that are resized to the same; for any size if None.

    Inputs of the graph: ``image`` ``(1, h, w, 3)`` BGR uint8, a frame resized as by the config's test pipeline
    (normalising and padding are in the graph), and ``past.backbone.0``, ..., ``past.neck.0``, ..., and with a RoI
    memory ``past.memory.0`` and ``.1``: zeros at the start of a stream, then each ``present.`` of the frame before.
    Outputs: ``boxes`` ``(k, 4)`` in px of the image, ``scores``, ``labels``, highest-scoring first, and the presents.
    The file's metadata describes them as JSON; their last entry is a checksum.

    Returns the path of the runtime, which runs the file.

    Raises:
        InputError: the detector or its pipeline is not covered, a package is missing, or the file cannot be written.
    """
    require_packages('onnx', 'onnx', 'onnxscript', 'onnxruntime')
    from tsm_det.export.runtime import seal_model

    check_output(path)
    check_detector(detector.model)
    resize, image_size = describe_resizing(detector, *([size] if size else EXAMPLE_SIZES))
    graph = build_graph(detector.model, image_size if size else EXAMPLE_SIZES[0])
    layout = fixed_layout(graph) if size else open_layout(detector.model)
    with locked(path):
        program = trace(graph, 'image', torch.zeros(1, *graph.size, 3, dtype=torch.uint8), graph.fresh,
                        None if size else _open_axes(layout))
    for node in program.model.graph:
        node.metadata_props.clear()  # source lines and paths of this machine
    for output in program.model.graph.outputs[:3]:
        output.shape[0] = 'detections'
    program.model.metadata_props['tsm_det'] = json.dumps(
        {'frame': size, 'image': size and graph.size,
         'network': graph.padded if size else detector.model.data_preprocessor.pad_size_divisor, 'resize': resize,
         **_description(graph, detector.model.dataset_meta), 'state': layout})
    runtime = Path(path).with_name(_RUNTIME.name)
    write_bytes(seal_model(program.model_proto.SerializeToString()), path)
    write_bytes(_RUNTIME.read_bytes(), runtime)
    return runtime


def check_output(path: str | os.PathLike) -> None:
    """Raise InputError, before the export starts, when the model or its runtime cannot be written."""
    path = Path(path)
    if path.suffix != '.onnx':
        raise InputError(f'--out is {path} but must end in .onnx: change the name')
    check_writable(path)
    runtime = path.with_name(_RUNTIME.name)
    if runtime.exists() and runtime.read_bytes()[:60] != _RUNTIME.read_bytes()[:60]:
        raise InputError(f'{runtime} is another file that the export would replace: name a folder without one')


def describe_resizing(detector: OnlineDetector, *sizes: tuple[int, int]) -> tuple[dict, tuple[int, int]]:
    """Describe the pipeline's resizing for the runtime, and give the size to which it resizes the last of ``sizes``.

    Raises InputError when the pipeline changes frames of these sizes (H, W) in another way.
    """
    from tsm_det.export.runtime import resized

    if min(map(min, sizes)) < 1:
        raise InputError("--size is {} {} but must be the height and width of the video's frames in px".format(
            *sizes[0]))
    steps = detector.transforms()
    resizes = [step for step in steps if type(step) is Resize]
    frames = [np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    if len(resizes) == 1 and resizes[0].scale:
        resize = {'scale': list(resizes[0].scale), 'keep_ratio': resizes[0].keep_ratio}
        images = [resized(frame, **resize) for frame in frames]
        piped = [detector.prepare(frame)['inputs'][0].permute(1, 2, 0).numpy() for frame in frames]
        if all(map(np.array_equal, images, piped)):
            return resize, images[-1].shape[:2]
    raise InputError(f'the test pipeline has {", ".join(type(step).__name__ for step in steps)} but the export covers '
                     'one bilinear Resize to a scale and no other change of the frame: remove the others')


def _open_axes(layout: Layout) -> tuple[dict, tuple[dict, ...]]:
    """Axes of the image and of each past that the trace leaves open, as torch.export wants them."""
    return {1: Dim.AUTO, 2: Dim.AUTO}, tuple(
        {axis: Dim.AUTO for axis, size in enumerate(shape) if isinstance(size, str)}
        for shapes in layout.values() for shape in shapes)


def _description(graph: DetectorGraph, dataset_meta: dict) -> dict:
    """Metadata of the model that do not depend on the frame's size."""
    preprocessor, config = graph.model.data_preprocessor, graph.test_cfg()
    normalised = preprocessor._enable_normalize
    return {
        'tsm_det': __version__, 'classes': list(dataset_meta['classes']),
        'value_range': dataset_meta.get('value_range'),
        'in_graph': {'channels': 'RGB' if preprocessor._channel_conversion else 'BGR',
                     'mean': preprocessor.mean.flatten().tolist() if normalised else [0.0] * 3,
                     'std': preprocessor.std.flatten().tolist() if normalised else [1.0] * 3,
                     'pad_value': preprocessor.pad_value},
        'score_thr': config.score_thr, 'max_detections': config.max_per_img}
