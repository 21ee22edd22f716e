"""The one object that remembers: the state of each stream, by its id."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import torch

from tsm_det.errors import InputError
from tsm_det.shift import ShiftState, map_state, tensors_of

# Removed streams whose reset reason is still known.
_MAX_REMOVED = 1024


class HeldStream(NamedTuple):
    """A stream after its frame ``frame_id``; its source frames are ``size`` (H, W) px.

    ``tracks`` are those of a tracker, None without one; a bank keeps them and does not look into them.
    """

    stream_id: Hashable
    frame_id: int
    size: tuple[int, int]
    state: ShiftState
    tracks: Any = None


class _RemovedStream(NamedTuple):
    reason: str
    tracks: Any


class StreamBank:
    """Holds the states of up to ``capacity`` streams and decides from the data whether a stream continues.

    A stream continues if it is held, the frame id is greater than the one held, by at most ``max_gap``, and the frame
    size is unchanged. Anything else starts it over, and ``recall`` gives the reason: 'new', 'seek' (the frame id did
    not grow), 'gap', 'size', 'evicted' (the least recently used stream leaves a full bank), 'nonfinite' (its state held
    NaN or infinity), 'manual' (dropped).

    Copies and pickles of a bank are empty.

    Args:
        capacity: largest number of streams, at least the largest batch.
        max_gap: largest step of frame ids within a stream; None for any, 0 to start over at every frame (the per-frame
            ablation of the same weights).
    """

    def __init__(self, capacity: int = 1, max_gap: int | None = None) -> None:
        if capacity < 1:
            raise InputError(f'capacity is {capacity} but must be at least 1')
        if max_gap is not None and max_gap < 0:
            raise InputError(f'max_gap is {max_gap} but must be at least 1, 0 (every frame starts over) or None (any)')
        self.capacity = capacity
        self.max_gap = max_gap
        self.clear()

    def __len__(self) -> int:
        return len(self._held)

    def __getstate__(self) -> dict:
        return {'capacity': self.capacity, 'max_gap': self.max_gap}

    def __setstate__(self, state: dict) -> None:
        StreamBank.__init__(self, **state)

    def stream_ids(self) -> list[Hashable]:
        """Ids of the streams held, the least recently used first."""
        return list(self._held)

    def held(self) -> list[HeldStream]:
        """A snapshot of the streams, the least recently used first."""
        return list(self._held.values())

    def state_bytes(self) -> int:
        """Memory of all states, in bytes."""
        return sum(tensor.numel() * tensor.element_size() for stream in self._held.values()
                   for part in stream.state for tensor in part)

    def next_frame_id(self, stream_id: Hashable) -> int:
        """The frame id after the one held; 0 for a stream that is not held."""
        return self._held[stream_id].frame_id + 1 if stream_id in self._held else 0

    def get(self, stream_id: Hashable) -> HeldStream | None:
        """A stream; None if it is not held."""
        return self._held.get(stream_id)

    def tracks(self, stream_id: Hashable) -> Any:
        """The last tracks of a stream, also after its state was removed; None for an unknown stream."""
        if stream_id in self._held:
            return self._held[stream_id].tracks
        return self._removed[stream_id].tracks if stream_id in self._removed else None

    def recall(self, stream_ids: Sequence[Hashable], frame_ids: Sequence[int],
               sizes: Sequence[tuple[int, int]]) -> tuple[ShiftState | None, list[str | None]]:
        """Get the pasts of a batch.

        Args:
            stream_ids: stream of each row of the batch.
            frame_ids: of these frames, from 0.
            sizes: (H, W) of the source frames.

        Returns:
            The pasts, N rows per site: zeros for streams that start over, None if all do; and for each stream the
            reason why it starts over, None if it continues.

        Raises InputError when an id occurs twice in the batch, the batch is larger than the capacity, or states
        differ in shape.
        """
        self.check_batch(stream_ids)
        reasons = [self._reset_reason(*row) for row in zip(stream_ids, frame_ids, sizes, strict=True)]
        pasts = {i: self._held[stream_ids[i]].state for i, reason in enumerate(reasons) if reason is None}
        if not pasts:
            return None, reasons
        if len(reasons) == 1:
            return pasts[0], reasons
        if len({tuple(past.shape for past in tensors_of(state)) for state in pasts.values()}) > 1:
            raise InputError(f'the states of {[stream_ids[i] for i in pasts]} differ in shape, so not all are of this '
                             'network: reset these streams')
        zeros = map_state(torch.zeros_like, next(iter(pasts.values())))
        # States held before and after a change of the model's device or type may meet in a batch.
        return map_state(lambda *rows: torch.cat([past.to(rows[-1]) for past in rows]),
                         *(pasts.get(i, zeros) for i in range(len(reasons)))), reasons

    def hold(self, stream_ids: Sequence[Hashable], frame_ids: Sequence[int],
             sizes: Sequence[tuple[int, int]], present: ShiftState,
             tracks: Sequence[Any] | None = None) -> None:
        """Store the state of each stream after its frame; the least recently used streams leave a full bank.

        Args:
            stream_ids: stream of each row of ``present``.
            frame_ids: last frame of each stream.
            sizes: (H, W) of the source frames.
            present: N rows per site.
            tracks: of each stream after its frame; None without a tracker.
        """
        self.check_batch(stream_ids)
        is_single, streams = len(stream_ids) == 1, []
        rows = zip(stream_ids, frame_ids, sizes, tracks or [None] * len(stream_ids), strict=True)
        for i, (stream_id, frame_id, size, its_tracks) in enumerate(rows):
            # A row is a view that would keep the whole batch alive.
            state = map_state(lambda t, i=i: t.detach() if is_single else t[i:i + 1].detach().clone(), present)
            streams.append(HeldStream(stream_id, int(frame_id), (size[0], size[1]), state, its_tracks))
        self._store(streams)

    def restore(self, streams: Sequence[HeldStream]) -> None:
        """Hold exactly these streams, from :meth:`held` of another bank.

        Raises InputError when there are more of them than the capacity; the bank is unchanged.
        """
        self.check_batch([stream.stream_id for stream in streams])
        self.clear()
        self._store(streams)

    def drop(self, stream_id: Hashable) -> None:
        """Forget one stream if it is held; its next frame starts it over ('manual')."""
        if stream_id in self._held:
            self._remove(self._held[stream_id], 'manual')

    def clear(self) -> None:
        """Forget everything, as if no frame had been seen."""
        self._held: OrderedDict[Hashable, HeldStream] = OrderedDict()
        self._removed: OrderedDict[Hashable, _RemovedStream] = OrderedDict()

    def check_batch(self, stream_ids: Sequence[Hashable]) -> None:
        """Raise InputError when an id occurs twice or there are more streams than the capacity."""
        if len(set(stream_ids)) < len(stream_ids):
            raise InputError(f'a stream id stands twice in {list(stream_ids)} but a batch has one frame per stream: '
                             'pass the frames one after the other')
        if len(stream_ids) > self.capacity:
            raise InputError(f'{len(stream_ids)} streams came in one batch but there is room for {self.capacity}: '
                             'raise capacity (in a config: model.streams.capacity)')

    def _store(self, streams: Sequence[HeldStream]) -> None:
        for stream in streams:
            if _is_finite(stream.state):
                self._removed.pop(stream.stream_id, None)
                self._held[stream.stream_id] = stream
                self._held.move_to_end(stream.stream_id)
            else:
                self._remove(stream, 'nonfinite')
        while len(self._held) > self.capacity:
            self._remove(next(iter(self._held.values())), 'evicted')

    def _remove(self, stream: HeldStream, reason: str) -> None:
        self._held.pop(stream.stream_id, None)
        self._removed[stream.stream_id] = _RemovedStream(reason, stream.tracks)
        self._removed.move_to_end(stream.stream_id)
        if len(self._removed) > _MAX_REMOVED:
            self._removed.popitem(last=False)

    def _reset_reason(self, stream_id: Hashable, frame_id: int, size: tuple[int, int]) -> str | None:
        if stream_id not in self._held:
            return self._removed[stream_id].reason if stream_id in self._removed else 'new'
        held = self._held[stream_id]
        if tuple(size) != held.size:
            return 'size'
        if frame_id <= held.frame_id:
            return 'seek'
        if self.max_gap is not None and frame_id - held.frame_id > self.max_gap:
            return 'gap'
        return None


def _is_finite(state: ShiftState) -> bool:
    """Whether no value is NaN or infinite: a sum shows it in one pass."""
    # bfloat16 has the range of float32, in which its sum would take four times as long.
    sums = [tensor.sum(dtype=None if tensor.dtype == torch.bfloat16 else torch.float32)
            for part in state for tensor in part]
    return not sums or math.isfinite(torch.stack(sums).sum())
