"""Read checkpoint files: tensors and plain values, unless the user trusts a file to run what it contains."""

from __future__ import annotations

import re
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from mmengine.fileio.handlers.registry_utils import file_handlers
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_torch_safe_globals
from torch import Tensor, nn

from tsm_det.errors import InputError
from tsm_det.models.download import local_file
from tsm_det.plain_pickle import load_plain_pickle
from tsm_det.sealed import check_intact

_LEGACY = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'  # how torch.save began before it wrote zip files
_TRUSTED_OWNERS = (HistoryBuffer, OneCycleParamScheduler)


def read_checkpoint(name: str, device: str | torch.device = 'cpu', trust: bool = False) -> dict[str, Any]:
    """Read a checkpoint.

    Args:
        name: path, https address, or a name of mmengine such as ``torchvision://resnet50``.
        device: of the tensors.
        trust: also unpickle objects other than tensors and plain values, which may run any program.

    Returns:
        The file's dict, with ``state_dict``, its tensors by dotted names, and ``meta``, a dict.

    Raises:
        InputError: the file is missing, damaged, no checkpoint, or needs trust; or ``meta`` is not what mmengine saves.
    """
    path = local_file(name)
    if not path.is_file():
        raise InputError(f'the checkpoint {name} is missing: give the path of an existing file')
    if problem := _kind(path):
        raise InputError(f'the checkpoint {name} {problem}')
    check_intact(path)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as parts:
            if not any(part.endswith('/data.pkl') for part in parts.namelist()):
                raise InputError(f'the checkpoint {name} is a zip file without weights '
                                 f'({shorten(", ".join(parts.namelist()), 60)}): unpack it')
    content = _unpickled(path, device, trust)
    content = content if isinstance(content, dict) else {'state_dict': content}
    nested = _network(content)
    weights = OrderedDict(_tensors(nested if isinstance(nested, dict | nn.Module) else {}))
    if not weights:
        raise InputError(f'the checkpoint {name} has no tensors by names: give a file with a state_dict')
    if hasattr(nested, '_metadata'):
        weights._metadata = nested._metadata  # type: ignore[attr-defined]
    if name.startswith('mmcls://'):  # whole classifiers, read for their backbone
        weights = OrderedDict((key.removeprefix('backbone.'), weight) for key, weight in weights.items()
                              if key.startswith('backbone.'))
    meta = dict(_checked_meta(name, content.get('meta', {})))
    if not trust:
        meta.pop('config', None)  # mmengine runs it, as any config, when a training resumes
    return {**content, 'state_dict': weights, 'meta': meta}


@contextmanager
def plain_files_only(trust: bool = False) -> Iterator[None]:
    """Context manager: mmengine and mmdet read every checkpoint by :func:`read_checkpoint`, and only plain pickles.

    Arrays too, such as the class hierarchy of mmdet's OpenImagesChallengeDataset. ``trust`` allows any pickle.
    """
    def load_from_file(filename: str, map_location: Any = 'cpu') -> dict:
        return read_checkpoint(filename, map_location or 'cpu', trust)

    def load_array(file: Any, *args: Any, **options: Any) -> Any:
        try:
            return load_any_array(file, *args, **{**options, 'allow_pickle': False})
        except ValueError as error:
            raise InputError(f'{file} holds no plain array ({error}): give --trust-checkpoint (trust_checkpoint=True) '
                             'if you trust its author, as loading it may run any program in it') from error

    load_any_array = np.load
    schemes, load_pickle = CheckpointLoader._schemes, file_handlers['pkl'].load_from_fileobj
    CheckpointLoader._schemes = dict.fromkeys(schemes, load_from_file)
    pickles = [file_handlers['pkl'], file_handlers['pickle']]
    try:
        if not trust:
            np.load = load_array
            for handler in pickles:
                handler.load_from_fileobj = lambda file, **_: load_plain_pickle(file)
        yield
    finally:
        CheckpointLoader._schemes, np.load = schemes, load_any_array
        for handler in pickles:
            handler.load_from_fileobj = load_pickle


def _kind(path: Path) -> str | None:
    """What is wrong with a file that is no checkpoint at first sight."""
    with path.open('rb') as file:
        start = file.read(200)
    if not start:
        return 'is empty: copy or download it again'
    if start.startswith(b'version https://git-lfs'):
        return "is a pointer of git-lfs, not the file itself: fetch it with 'git lfs pull'"
    if start.lstrip().startswith(b'<'):
        return 'is a web page, not a checkpoint: download the file that the page links to'
    if not start.startswith((b'PK', _LEGACY)):
        return f'is not a file of torch.save (it begins with {start[:8]!r}): give a .pth file of this project or mmdet'
    return None


def _unpickled(path: Path, device: str | torch.device, trust: bool) -> Any:
    try:
        if trust:
            return torch.load(path, map_location=device, weights_only=False)
        # mmengine's list has getattr, which here finds the methods of trusted classes only.
        safe = [(_getattr, 'builtins.getattr') if entry is getattr else entry for entry in get_torch_safe_globals()]
        with torch.serialization.safe_globals([*safe, OneCycleParamScheduler]):
            return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged file can raise anything: KeyError, MemoryError...
        if needed := re.search(r'GLOBAL (\S+)|getattr of \S+', str(error)):
            raise InputError(
                f'{path} needs more than tensors and plain values ({needed[1] or needed[0]}): give --trust-checkpoint '
                '(trust_checkpoint=True) if you trust its author, as loading it runs any program in it') from error
        reason = shorten(f'{type(error).__name__} {error}', 200, placeholder='...')
        raise InputError(f'the checkpoint {path} cannot be read ({reason}): give a file saved by this project or '
                         'mmdet') from error


def _getattr(owner: type, name: str) -> Any:
    if owner not in _TRUSTED_OWNERS:
        raise UnpicklingError(f'getattr of {owner!r}')
    return getattr(owner, name)


def _network(content: dict) -> Any:
    """The entry ``state_dict``; or ``model``, as in the files of Swin, if no other holds a network; else all.

    An optimizer's tensors have other names, such as ``exp_avg``, than those of layers.
    """
    if 'state_dict' in content:
        return content['state_dict']
    named = {name: {key.rpartition('.')[2] for key, _ in _tensors({name: entry})} for name, entry in content.items()}
    model = named.pop('model', set())
    return content['model'] if model and model.isdisjoint(set().union(*named.values())) else content


def _tensors(content: dict | nn.Module, prefix: str = '') -> Iterator[tuple[str, Tensor]]:
    for key, value in (content.state_dict() if isinstance(content, nn.Module) else content).items():
        if isinstance(value, Tensor):
            yield f'{prefix}{key}', value
        elif isinstance(value, dict | nn.Module):
            yield from _tensors(value, f'{prefix}{key}.')


def _checked_meta(name: str, meta: Any) -> dict:
    if not isinstance(meta, dict):
        raise InputError(f'meta of the checkpoint {name} is {type(meta).__name__} but must be a dict: save the '
                         'checkpoint without it, or with class names, {"dataset_meta": {"classes": [...]}}')
    if not isinstance(dataset_meta := meta.get('dataset_meta') or {}, dict):
        raise InputError(f'meta.dataset_meta of the checkpoint {name} is {type(dataset_meta).__name__} but must be a '
                         'dict: save the class names as {"classes": [...]}')
    classes = dataset_meta.get('classes') or ()
    if not isinstance(classes, list | tuple) or not all(isinstance(one, str) for one in classes):
        raise InputError(f'meta.dataset_meta.classes of the checkpoint {name} is {classes!r} but must be a list of '
                         'names: save it so')
    return meta
