"""Trace the graph of a detector into an ONNX program."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from tsm_det.errors import InputError
from tsm_det.graphs.dense_graph import DenseGraph, dense_differences, is_single_stage
from tsm_det.graphs.graph import DetectorGraph, check_coverage, raise_difference
from tsm_det.graphs.kernels import onnx_translations
from tsm_det.graphs.memory_graph import MemoryGraph
from tsm_det.shift import ShiftState, tensors_of

# The oldest that torch's exporter writes; RoiAlign has half_pixel since 16.
_OPSET = 18


def check_detector(model: nn.Module) -> None:
    """Raise InputError when a part of the detector infers differently from its graph."""
    if is_single_stage(model):
        raise_difference(dense_differences(model))
    else:
        check_coverage(model)


def build_graph(model: nn.Module, size: tuple[int, int], padded: tuple[int, int] | None = None) -> DetectorGraph:
    """Build the graph of a detector; see :class:`DetectorGraph`."""
    if is_single_stage(model):
        return DenseGraph(model, size, padded).eval()
    return (MemoryGraph if hasattr(model.roi_head, 'memory') else DetectorGraph)(model, size, padded).eval()


def trace(graph: nn.Module, name: str, example: Tensor, fresh: ShiftState,
          open_axes: tuple | None = None) -> torch.onnx.ONNXProgram:
    """Trace a graph: from ``example``, its input of this name, and a state like ``fresh`` to detections and a state.

    Inputs: ``name``, ``past.backbone.0``, ..., ``past.neck.0``, ...; outputs: ``boxes``, ``scores``, ``labels`` and a
    ``present.`` per past. ``open_axes`` are the ``dynamic_shapes`` of torch.export; without, all sizes are fixed.
    """
    sites = list(site_names(fresh))
    with torch.no_grad(), _quiet_exporter():
        return torch.onnx.export(
            graph, (example, *tensors_of(fresh)), dynamo=True, opset_version=_OPSET, dynamic_shapes=open_axes,
            custom_translation_table=onnx_translations(), input_names=[name, *(f'past.{site}' for site in sites)],
            output_names=['boxes', 'scores', 'labels', *(f'present.{site}' for site in sites)], verbose=False)


def site_names(state: ShiftState) -> Iterator[str]:
    """``backbone.0``, ... for the tensors of a state, in the order of ``tensors_of``."""
    return (f'{part}.{site}' for part, tensors in state._asdict().items() for site in range(len(tensors)))


def require_packages(extra: str, *names: str) -> None:
    """Raise InputError when one of these packages, which an extra of tsm_det installs, is missing."""
    if missing := [name for name in names if find_spec(name) is None]:
        raise InputError(f"{' and '.join(missing)} must be installed: pip install 'tsm_det[{extra}]'")


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Context manager: silences torch's exporter about missing packages and its own deprecated names."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)
