"""Compile a detector's convolutions, one graph per frame size."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from tsm_det.shift import ShiftState, map_state

# Each graph takes half a minute to compile, and memory.
_MOST_GRAPHS = 8


class CompiledClip:
    """``TemporalDetector.extract_clip``, compiled without graph breaks at the first frame of each size.

    New and running streams share a graph, since the past of a new stream is zeros. Each number of streams and each
    frame size has its own graph, up to 8; further ones run uncompiled. The log reports both.
    """

    def __init__(self, model: nn.Module) -> None:
        self._graphs = _Graphs(model.extract_clip, next(model.parameters()).is_cuda)
        self._fresh: dict[tuple, ShiftState] = {}
        self._is_full = False

    def __call__(self, clip: Tensor, past: ShiftState | None = None) -> tuple[tuple[Tensor, ...], ShiftState]:
        """See ``TemporalDetector.extract_clip``."""
        key = (clip.shape, clip.dtype)
        if key in self._fresh:
            return self._run(key, clip, past)
        given = '{}x{} px, streams per batch: {}'.format(*clip.shape[-2:], clip.shape[0])
        if len(self._fresh) == _MOST_GRAPHS:
            if not self._is_full:
                print_log(f'{given}: {_MOST_GRAPHS} graphs are compiled already, so this and further sizes run '
                          'uncompiled: use fewer frame sizes', 'current', logging.WARNING)
            self._is_full = True
            return self._graphs.function(clip, past)
        begin = time.perf_counter()
        self._fresh[key] = map_state(torch.zeros_like, self._graphs.function(clip)[1])
        outputs = self._run(key, clip, past)
        print_log(f'{given}: compiled in {time.perf_counter() - begin:.0f} s, graph {len(self._fresh)} of at most '
                  f'{_MOST_GRAPHS}', 'current')
        return outputs

    def _run(self, key: tuple, clip: Tensor, past: ShiftState | None) -> tuple[tuple[Tensor, ...], ShiftState]:
        if clip.is_cuda:
            torch.compiler.cudagraph_mark_step_begin()
        feats, present = self._graphs(key, clip, past or self._fresh[key])
        # The next run of a CUDA graph overwrites its outputs.
        return feats, map_state(torch.clone, present) if clip.is_cuda else present


class CompiledHead:
    """The ``forward`` of a dense head, compiled for up to 8 sizes of its levels."""

    def __init__(self, head: nn.Module) -> None:
        self._graphs = _Graphs(head.forward, next(head.parameters()).is_cuda)

    def __call__(self, feats: tuple[Tensor, ...]) -> tuple:
        """See the head's ``forward``."""
        return self._graphs(tuple(level.shape for level in feats), feats)


class _Graphs:
    """Compiles a function for the first 8 keys of its calls; other calls run it uncompiled."""

    def __init__(self, function: Callable, is_cuda: bool) -> None:
        self.function = function
        # On a GPU the kernels of a frame are launched together, as a CUDA graph.
        mode = 'reduce-overhead' if is_cuda else None
        self._compiled = torch.compile(function, fullgraph=True, dynamic=False, mode=mode)
        self._keys: set[Hashable] = set()

    def __call__(self, key: Hashable, *args: object) -> tuple:
        if key in self._keys:
            return self._compiled(*args)
        if len(self._keys) == _MOST_GRAPHS:
            return self.function(*args)
        self._keys.add(key)
        # Dynamo counts the graphs of all detectors of a process together.
        with torch._dynamo.config.patch(recompile_limit=2**16, accumulated_recompile_limit=2**16):
            return self._compiled(*args)
