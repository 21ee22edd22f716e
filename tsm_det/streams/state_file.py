"""Streams on disk: what a detector remembers, for another process to go on from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

import torch
from torch import nn

from tsm_det.errors import InputError
from tsm_det.files import write_atomically
from tsm_det.shift import ShiftState
from tsm_det.stream_bank import HeldStream

_FORMAT = 'tsm_det streams 4'
_OLD_FORMATS = tuple(f'tsm_det streams {number}' for number in (1, 2, 3))
# What parts of the network are like, beside their weights.
_SETTINGS = {'backbone': ('shift_div', 'sites'), 'neck': ('shift_div', 'sites', 'shift_at'),
             'data_preprocessor': ('mean', 'std', '_channel_conversion', 'pad_size_divisor', 'pad_value')}


class Place(NamedTuple):
    """Where a run was in a source: the last frame, how many there are, of how many one was seen, when (Unix time).

    ``num_frames`` and ``stride`` are None where nobody knows them.
    """

    frame_id: int
    num_frames: int | None
    stride: int | None
    seen_at: float


class SavedState(NamedTuple):
    """What a file holds: streams, and places in sources by their names, none where no sources were read."""

    streams: list[HeldStream]
    places: dict[str, Place]


def model_signature(model: nn.Module, preparation: str = '') -> str:
    """A digest of all that gives a state its meaning.

    Args:
        model: of whose weights name, shape and value count, where it shifts what, how it normalises frames, and the
            engine that runs it.
        preparation: says how frames become the model's input.
    """
    digest = sha256(preparation.encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f'{name} {tuple(tensor.shape)} {tensor.dtype}'.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    settings = [getattr(getattr(model, part, None), name, None) for part, names in _SETTINGS.items() for name in names]
    plain = [setting.tolist() if isinstance(setting, torch.Tensor) else setting for setting in settings]
    digest.update(f'{plain} {getattr(model, "engine", None)}'.encode())
    return digest.hexdigest()


def write_state(path: str | os.PathLike, signature: str, streams: list[HeldStream],
                places: Mapping[str, Place] | None = None) -> None:
    """Write a file that holds tensors and plain values only; it appears whole or not at all.

    Raises:
        InputError: it cannot be written, or a stream id is not a string, a whole number or None.
    """
    if strange := [stream.stream_id for stream in streams if not isinstance(stream.stream_id, str | int | None)]:
        raise InputError(f'the stream id {strange[0]!r} cannot be saved: name streams by strings or whole numbers')
    content = {
        'format': _FORMAT, 'model': signature,
        'places': {name: tuple(place) for name, place in (places or {}).items()},
        'streams': [{**stream._asdict(), 'state': {part: list(pasts) for part, pasts in stream.state._asdict().items()}}
                    for stream in streams]}
    with write_atomically(path, RuntimeError) as temporary:  # a full disk is a RuntimeError of torch
        torch.save(content, temporary)


def read_state(path: str | os.PathLike, signature: str) -> SavedState:
    """Read what :func:`write_state` wrote; nothing but tensors and plain values is loaded.

    Raises:
        InputError: the file is missing, not such a file, of an older version, or of another model.
    """
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
        if content['format'] in _OLD_FORMATS:
            raise InputError(f'{path} was saved by an older tsm_det: start without it')
        if content['format'] != _FORMAT:
            raise KeyError('format')
        is_ours = content['model'] == signature
        streams = [HeldStream(stream['stream_id'], stream['frame_id'], tuple(stream['size']), ShiftState(
            **{part: tuple(pasts) for part, pasts in stream['state'].items()})) for stream in content['streams']]
        places = {name: Place(*place) for name, place in content['places'].items()}
    except InputError:
        raise
    except OSError as error:
        raise InputError(f'the state file {path} cannot be read ({error.strerror}): check the path') from error
    except Exception as error:  # a damaged file makes the reader raise nearly anything
        raise InputError(f'{path} is not a file of saved streams: give one that --save-state or save_state '
                         'wrote') from error
    if not is_ours:
        raise InputError(f'{path} was saved by a model with other weights, shift, pipeline or engine: load the '
                         'checkpoint and the config that it was saved with, or start without it')
    return SavedState(streams, places)
