"""Subsets of the frames of a test, which are also scored on their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tsm_det.datasets.degrade import Bursts
from tsm_det.errors import InputError

BURSTS = 'burst', 'between'


def subsets_of(images: Sequence[dict], subsets: dict[str, dict] | None, bursts: dict | None) -> dict[str, np.ndarray]:
    """Mark the images of each subset, ``(len(images),)``, by its name.

    Args:
        images: of a CocoVID file.
        subsets: name to the fields and values that an image of the subset has.
        bursts: the :class:`~tsm_det.datasets.degrade.Bursts` of the test pipeline; adds ``burst`` and ``between``.

    Raises InputError when the bursts have no seed, so that their places are random.
    """
    marks = {name: _marked([all(image.get(field) == value for field, value in fields.items()) for image in images])
             for name, fields in (subsets or {}).items()}
    if bursts:
        transform = Bursts(**{key: value for key, value in bursts.items() if key != 'type'})
        if transform.seed is None:
            raise InputError('bursts of a test have no seed, so nobody knows which frames are degraded: set seed=0')
        places = [transform.place(image.get('video_id'), image.get('frame_id')) for image in images]
        inside = _marked([place is not None for place in places])
        marks |= dict(zip(BURSTS, (inside, ~inside), strict=True))
    return marks


def _marked(marks: list[bool]) -> np.ndarray:
    return np.array(marks, bool)
