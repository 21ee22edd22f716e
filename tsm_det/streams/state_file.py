"""State files: the streams of a detector on disk, for another process to continue."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import torch
from mmdet.models import BaseDetector
from torch import nn

from tsm_det.errors import InputError
from tsm_det.files import write_atomically
from tsm_det.sealed import check_intact, seal
from tsm_det.shift import ShiftState, parts_of
from tsm_det.stream_bank import HeldStream
from tsm_det.streams.tracking import Tracks

_FORMAT = 'tsm_det streams 5'
_PREPROCESSING = ('mean', 'std', '_channel_conversion', 'pad_size_divisor', 'pad_value')


class Position(NamedTuple):
    """Progress of a run in a source: its last frame, seen at a Unix time, ``time_s`` after frame 0; None is unknown.

    ``recording`` is the fingerprint of a recorded source. ``is_filled``: predicted frames came between detected ones.
    """

    frame_id: int
    num_frames: int | None
    stride: int | None
    seen_at: float
    recording: str | None = None
    is_filled: bool = False
    time_s: float | None = None


def model_signature(model: BaseDetector, preparation: str = '') -> str:
    """Digest of everything that gives a state its meaning: weights, shift, normalisation, engine and preparation.

    ``preparation`` describes how frames become the model's input.
    """
    digest = sha256(preparation.encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f'{name} {tuple(tensor.shape)} {tensor.dtype}'.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    settings: list[object] = []
    for name, number in (('backbone', 2), ('neck', 3)):
        parts = getattr(model, name, None)
        part: Any = next((part for part in (parts if isinstance(parts, nn.Sequential) else [parts])
                          if hasattr(part, 'signature')), None)
        settings += [None] * number if part is None else part.signature()
    if hasattr(getattr(model, 'roi_head', None), 'memory'):
        settings.append(model.roi_head.memory.signature())
    settings += [getattr(model.data_preprocessor, name, None) for name in _PREPROCESSING]
    plain = [setting.tolist() if isinstance(setting, torch.Tensor) else setting for setting in settings]
    digest.update(f'{plain} {getattr(model, "engine", None)}'.encode())
    return digest.hexdigest()


def write_state(path: str | os.PathLike, signature: str, streams: list[HeldStream],
                positions: Mapping[str, Position] | None = None) -> None:
    """Write a file of tensors and plain values atomically, with a checksum.

    Raises InputError when it cannot be written, or a stream id is not a string, a whole number or None.
    """
    for stream in streams:
        if not isinstance(stream.stream_id, str | int | None):
            raise InputError(f'the stream id {stream.stream_id!r} cannot be saved: name streams by strings or whole '
                             'numbers')
    content = {
        'format': _FORMAT, 'model': signature,
        'places': {name: tuple(position) for name, position in (positions or {}).items()},
        'streams': [{**stream._asdict(), 'tracks': stream.tracks and tuple(stream.tracks),
                     'state': {part: list(pasts) for part, pasts in parts_of(stream.state).items()}}
                    for stream in streams]}
    with write_atomically(path, RuntimeError) as temporary:  # torch's report of a full disk
        torch.save(content, temporary)
        temporary.write_bytes(seal(temporary.read_bytes()))


def read_state(path: str | os.PathLike, signature: str) -> tuple[list[HeldStream], dict[str, Position]]:
    """Read a file of :func:`write_state`; only tensors and plain values are unpickled.

    Returns:
        The streams, and positions by source name, empty when no sources were read.

    Raises:
        InputError: the file is missing, damaged, not a state file, or of another model.
    """
    try:
        check_intact(path, sealed=True)
        content = torch.load(path, map_location='cpu', weights_only=True)
        if content['format'] != _FORMAT:
            raise KeyError('format')
        is_of_model = content['model'] == signature
        streams = [_stream(**stream) for stream in content['streams']]
        positions = {name: _position(*position) for name, position in content['places'].items()}
    except OSError as error:
        raise InputError(f'the state file {path} cannot be read ({error.strerror}): check the path') from error
    except Exception as error:  # a damaged file can raise any exception
        raise InputError(f'{path} is not a state file of this version, or is damaged: give another copy, or another '
                         'file of --save-state or save_state') from error
    if not is_of_model:
        raise InputError(f'{path} was saved by a model with other weights, shift, pipeline or engine, or with another '
                         'tracker: load the matching checkpoint and config, or start without the file')
    return streams, positions


def _stream(stream_id: Any, frame_id: Any, size: Any, state: dict[str, list],
            tracks: Iterable | None = None) -> HeldStream:
    """A stream of a file; raises TypeError when a value is not of the kind that :func:`write_state` writes."""
    pasts = [past for part in state.values() for past in part]
    if not (isinstance(stream_id, str | int | None) and _are_numbers(frame_id, *size) and len(size) == 2
            and all(isinstance(past, torch.Tensor) and past.is_floating_point() and past.shape[:1] == (1,)
                    for past in pasts)):
        raise TypeError(f'stream {stream_id!r}')
    return HeldStream(stream_id, frame_id, (size[0], size[1]), ShiftState(
        **{part: tuple(pasts) for part, pasts in state.items()}), None if tracks is None else Tracks.checked(*tracks))


def _position(frame_id: Any, num_frames: Any, stride: Any, seen_at: Any, recording: Any,
              is_filled: object = False, time_s: Any = None) -> Position:
    known = [number for number in (num_frames, stride) if number is not None]
    if not (_are_numbers(frame_id, *known) and isinstance(seen_at, int | float) and isinstance(recording, str | None)
            and isinstance(is_filled, bool) and isinstance(time_s, int | float | None)):
        raise TypeError(f'frame {frame_id!r}')
    return Position(frame_id, num_frames, stride, seen_at, recording, is_filled, time_s)


def _are_numbers(*values: object) -> bool:
    """Whether all are whole numbers from 0."""
    return all(isinstance(value, int) and value >= 0 for value in values)
