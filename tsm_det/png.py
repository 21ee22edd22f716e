"""Pictures in PNG files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tsm_det.files import write_bytes

# Colours of Okabe and Ito, and more of Tol, which colour-blind readers tell apart.
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#882255', '#999933', '#AAAAAA')
BASELINE_COLOUR = '#000000'


def arm_colours(names: Iterable[str], baseline: str) -> dict[str, str]:
    """Return a colour per arm: the baseline has the same in all plots, the others those of COLOURS in their order."""
    others = cycle(COLOURS)
    return {name: BASELINE_COLOUR if name == baseline else next(others) for name in names}


def write_png(image: np.ndarray, path: str | os.PathLike) -> Path:
    """Write ``(H, W, 3)`` BGR uint8 as a PNG file, and make the folders above it.

    Raises InputError when it cannot be written there.
    """
    write_bytes(cv2.imencode('.png', image)[1].tobytes(), path)
    return Path(path)


def rendered(figure: Figure) -> np.ndarray:
    """The figure's pixels: ``(H, W, 3)`` BGR uint8, drawn without a display and without pyplot's global figures."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return cv2.cvtColor(np.asarray(canvas.buffer_rgba()), cv2.COLOR_RGBA2BGR)
