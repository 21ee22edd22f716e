"""Read pickles of tensors, arrays and plain values; a pickle of anything else could run any program."""

from __future__ import annotations

import io
import pickle
from typing import Any, BinaryIO

import torch

# Constructors of tensors, arrays and plain values; nothing else runs on loading.
_ALLOWED = {
    'collections.OrderedDict', '_codecs.encode', 'torch._utils._rebuild_tensor_v2', 'torch.Size', 'numpy.dtype',
    'numpy.ndarray', *(f'numpy.{core}.multiarray.{name}' for core in ('core', '_core')
                       for name in ('_reconstruct', 'scalar'))}


def load_plain_pickle(file: BinaryIO) -> Any:
    """Read a pickle; raise UnpicklingError when it asks for other constructors, and nearly anything when damaged."""
    return _Unpickler(file).load()


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if (module, name) == ('torch.storage', '_load_from_bytes'):
            return lambda content: torch.load(io.BytesIO(content), weights_only=True)
        if f'{module}.{name}' not in _ALLOWED:
            raise pickle.UnpicklingError(f'it asks for {module}.{name}, which is no tensor, array or plain value')
        return super().find_class(module, name)
