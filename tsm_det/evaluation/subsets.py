"""Subsets of the frames of a test, which are also scored on their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tsm_det.cocovid.motion import video_key
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
        transform = _built(bursts)
        places = [transform.place(video_key(image), image.get('frame_id') or 0) for image in images]
        inside = _marked([place is not None for place in places])
        marks |= dict(zip(BURSTS, (inside, ~inside), strict=True))
    return marks


def check_bursts(bursts: dict, steps: Iterable[object]) -> None:
    """Raise InputError unless the Bursts among the steps of a test pipeline stand where ``bursts`` do."""
    stated = _built(bursts).cycle
    shown = [step.cycle for step in steps if isinstance(step, Bursts)] or [None]
    if wrong := [cycle for cycle in shown if cycle != stated]:
        raise InputError(f'the evaluator has bursts with {stated} but the test pipeline has '
                         f'{wrong[0] or "no Bursts"}: give both the same length, gap and seed')


def _built(bursts: dict) -> Bursts:
    transform = Bursts(**{key: value for key, value in bursts.items() if key != 'type'})
    if transform.seed is None:
        raise InputError('bursts of a test have no seed, so nobody knows which frames are degraded: set seed=0')
    return transform


def _marked(marks: list[bool]) -> np.ndarray:
    return np.array(marks, bool)
