"""Shapes of a detector's state, as an exported model states them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tsm_det.errors import InputError
from tsm_det.graphs.graph import DetectorGraph
from tsm_det.graphs.program import build_graph
from tsm_det.shift import parts_of

# Shapes of the state by part and site. A size that depends on the frame is a text: 'h/4' or 'w/4' is a quarter of the
# height or the width of the network's input, rounded up.
Layout = dict[str, list[list[int | str]]]
# The first is traced: with sides of 1, a trace would take the maps of the coarsest level for any frame's.
EXAMPLE_SIZES = (256, 384), (160, 96), (75, 530)


def fixed_layout(graph: DetectorGraph) -> Layout:
    """Return the shapes for frames of the graph's size."""
    return {part: [list(past.shape) for past in pasts] for part, pasts in parts_of(graph.fresh).items()}


def open_layout(model: nn.Module) -> Layout:
    """Return the shapes for frames of any size.

    Raises InputError when they do not follow the frame's size by division.
    """
    from tsm_det.export.runtime import state_shapes  # needs onnxruntime

    graphs = [build_graph(model, size) for size in EXAMPLE_SIZES]
    states = [parts_of(graph.fresh) for graph in graphs]
    layout = {part: [_shape(pasts, graphs[0].padded) for pasts in zip(*(state[part] for state in states), strict=True)]
              for part in states[0]}
    for graph in graphs:
        if state_shapes(layout, graph.padded) != state_shapes(fixed_layout(graph), graph.padded):
            raise InputError(f'the state of {type(model).__name__} does not follow the frame size by division: export '
                             'it for one size with --size')
    return layout


def _shape(pasts: Sequence[Tensor], padded: Sequence[int]) -> list[int | str]:
    """Describe a site's pasts of several frame sizes; ``padded`` (H, W) is the network's input of the first."""
    return [sizes[0] if len(set(sizes)) == 1 else f'{"wh"[-1 - axis]}/{padded[axis] // sizes[0]}'
            for axis, sizes in zip(range(-pasts[0].ndim, 0), zip(*(past.shape for past in pasts), strict=True),
                                   strict=True)]
