"""Read the pickled detections of a test run without running code from the pickle."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import torch

from tsm_det.errors import InputError

# Constructors of tensors, arrays and plain values; nothing else runs on loading.
_ALLOWED = {
    'collections.OrderedDict', '_codecs.encode', 'torch._utils._rebuild_tensor_v2', 'torch.Size', 'numpy.dtype',
    'numpy.ndarray', *(f'numpy.{core}.multiarray.{name}' for core in ('core', '_core')
                       for name in ('_reconstruct', 'scalar'))}


def read_results(path: str | os.PathLike) -> list[dict]:
    """A dict per frame with ``img_id`` and ``pred_instances``.

    A pickle may run anything, so constructors of tensors, arrays and plain values are the only ones allowed.

    Raises:
        InputError: the file is missing, damaged, or asks for another constructor.
    """
    what = 'results are the .pkl file that tools/test.py --out writes'
    if not Path(path).is_file():
        raise InputError(f'the results {path} are missing: {what}')
    try:
        with open(path, 'rb') as file:
            frames = _Unpickler(file).load()
        if frames and all({'bboxes', 'scores', 'labels'} <= set(frame['pred_instances']) and 'img_id' in frame
                          for frame in frames):
            return frames
    except Exception as error:  # a damaged pickle raises nearly anything
        problem = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise InputError(f'{path} cannot be read ({problem}): {what}') from error
    raise InputError(f'{path} has no frames with detections: {what}')


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if (module, name) == ('torch.storage', '_load_from_bytes'):
            return lambda content: torch.load(io.BytesIO(content), weights_only=True)
        if f'{module}.{name}' not in _ALLOWED:
            raise pickle.UnpicklingError(f'it asks for {module}.{name}, which no results need')
        return super().find_class(module, name)
