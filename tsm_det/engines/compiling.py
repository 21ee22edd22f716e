"""A detector whose convolutions run as one compiled graph for each frame size."""

from __future__ import annotations

import logging
import time

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from tsm_det.shift import ShiftState, map_state

# A graph takes half a minute to compile, and memory.
_MOST_GRAPHS = 8


def compiled(model: nn.Module) -> nn.Module:
    """Let a detector's ``extract_maps`` be compiled when frames of a size first come; the model is changed."""
    model.extract_maps = CompiledMaps(model)
    return model


class CompiledMaps:
    """``TSMFasterRCNN.extract_maps`` by ``torch.compile``, without a break in the graph.

    One graph serves fresh and running streams: the past of a fresh one is zeros. Another number of streams or another
    frame size is another graph, up to 8, which the log says; what comes beyond them runs uncompiled.
    """

    def __init__(self, model: nn.Module) -> None:
        self._uncompiled = model.extract_maps
        # On a GPU the kernels of a frame are launched at once, as a CUDA graph.
        on_gpu = next(model.parameters()).is_cuda
        self._compiled = torch.compile(
            self._uncompiled, fullgraph=True, dynamic=False, mode='reduce-overhead' if on_gpu else None)
        self._fresh: dict[tuple, ShiftState] = {}
        self._is_full = False

    def __call__(self, clip: Tensor, past: ShiftState | None = None) -> tuple[
            tuple[Tensor, ...], tuple[list[Tensor], list[Tensor]], ShiftState]:
        """See ``TSMFasterRCNN.extract_maps``."""
        key = (clip.shape, clip.dtype)
        if key in self._fresh:
            return self._run(clip, past or self._fresh[key])
        if len(self._fresh) == _MOST_GRAPHS:
            self._say_full(clip)
            return self._uncompiled(clip, past)
        begin = time.perf_counter()
        self._fresh[key] = map_state(torch.zeros_like, self._uncompiled(clip)[2])
        # Dynamo counts the graphs of all detectors of a process together.
        with torch._dynamo.config.patch(recompile_limit=2**16, accumulated_recompile_limit=2**16):
            found = self._run(clip, past or self._fresh[key])
        print_log(f'compiled for {_words(clip)} in {time.perf_counter() - begin:.0f} s, graph {len(self._fresh)} of at '
                  f'most {_MOST_GRAPHS}', 'current')
        return found

    def _run(self, clip: Tensor, past: ShiftState) -> tuple:
        if not clip.is_cuda:
            return self._compiled(clip, past)
        torch.compiler.cudagraph_mark_step_begin()
        feats, maps, present = self._compiled(clip, past)
        # The next frame's graph writes where this one's results lie.
        return feats, maps, map_state(torch.clone, present)

    def _say_full(self, clip: Tensor) -> None:
        if not self._is_full:
            print_log(f'{_words(clip)}, and {_MOST_GRAPHS} graphs are compiled already: this and further sizes run '
                      'uncompiled; give frames of fewer sizes', 'current', logging.WARNING)
        self._is_full = True


def _words(clip: Tensor) -> str:
    return '{} stream{} of {}x{} px'.format(clip.shape[0], 's' * (clip.shape[0] > 1), *clip.shape[-2:])
