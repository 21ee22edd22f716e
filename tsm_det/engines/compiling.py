"""Compile a detector's convolutions, one graph per frame size."""

from __future__ import annotations

import logging
import time

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from tsm_det.shift import ShiftState, map_state

# Each graph takes half a minute to compile, and memory.
_MOST_GRAPHS = 8


class CompiledMaps:
    """``TSMFasterRCNN.extract_maps``, compiled without graph breaks at the first frame of each size.

    New and running streams share a graph, since the past of a new stream is zeros. Each number of streams and each
    frame size has its own graph, up to 8; further ones run uncompiled. The log reports both.
    """

    def __init__(self, model: nn.Module) -> None:
        self._uncompiled = model.extract_maps
        # On a GPU the kernels of a frame are launched together, as a CUDA graph.
        mode = 'reduce-overhead' if next(model.parameters()).is_cuda else None
        self._compiled = torch.compile(self._uncompiled, fullgraph=True, dynamic=False, mode=mode)
        self._fresh: dict[tuple, ShiftState] = {}
        self._is_full = False

    def __call__(self, clip: Tensor, past: ShiftState | None = None) -> tuple[
            tuple[Tensor, ...], tuple[list[Tensor], list[Tensor]], ShiftState]:
        """See ``TSMFasterRCNN.extract_maps``."""
        key = (clip.shape, clip.dtype)
        if key in self._fresh:
            return self._run(clip, past or self._fresh[key])
        given = '{}x{} px, streams per batch: {}'.format(*clip.shape[-2:], clip.shape[0])
        if len(self._fresh) == _MOST_GRAPHS:
            if not self._is_full:
                print_log(f'{given}: {_MOST_GRAPHS} graphs are compiled already, so this and further sizes run '
                          'uncompiled: use fewer frame sizes', 'current', logging.WARNING)
            self._is_full = True
            return self._uncompiled(clip, past)
        begin = time.perf_counter()
        self._fresh[key] = map_state(torch.zeros_like, self._uncompiled(clip)[2])
        # Dynamo counts the graphs of all detectors of a process together.
        with torch._dynamo.config.patch(recompile_limit=2**16, accumulated_recompile_limit=2**16):
            outputs = self._run(clip, past or self._fresh[key])
        print_log(f'{given}: compiled in {time.perf_counter() - begin:.0f} s, graph {len(self._fresh)} of at most '
                  f'{_MOST_GRAPHS}', 'current')
        return outputs

    def _run(self, clip: Tensor, past: ShiftState) -> tuple:
        if not clip.is_cuda:
            return self._compiled(clip, past)
        torch.compiler.cudagraph_mark_step_begin()
        feats, maps, present = self._compiled(clip, past)
        return feats, maps, map_state(torch.clone, present)  # the next run of the graph overwrites its outputs
