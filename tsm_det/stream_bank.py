"""The one object that remembers: the state of each stream, by its id."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import torch

from tsm_det.errors import InputError
from tsm_det.shift import ShiftState, map_state

# Of how many streams the bank can still say why it let them go.
_FAREWELLS = 1024


class HeldStream(NamedTuple):
    """A stream after its frame ``frame_id``; its source frames are ``size`` (H, W) px."""

    stream_id: Hashable
    frame_id: int
    size: tuple[int, int]
    state: ShiftState

    @property
    def num_bytes(self) -> int:
        """Memory of the state."""
        return sum(tensor.numel() * tensor.element_size() for part in self.state for tensor in part)


class StreamBank:
    """Holds the state of some streams, by their number and by bytes, and decides from the data whether one runs on.

    A stream runs on if it is held, the frame id is greater than the one held, by at most
    ``max_gap``, and the frame size is the same. Anything else starts it afresh, and ``recall`` says
    why: 'new', 'seek' (the frame id did not grow), 'gap', 'size', 'evicted' (the least recently used
    stream leaves a full bank), 'nonfinite' (its state held NaN or infinity), 'manual' (dropped).

    A bank copies, pickles and saves as an empty one.

    Args:
        capacity: most streams held at once, at least the largest batch.
        max_gap: largest difference of frame ids that a stream runs on over; None is any.
        max_bytes: most memory that the states may take, at least that of the largest batch; None is any.
    """

    def __init__(self, capacity: int = 1, max_gap: int | None = None, max_bytes: int | None = None) -> None:
        if capacity < 1:
            raise InputError(f'capacity is {capacity} but room for at least one stream is needed')
        if max_gap is not None and max_gap < 1:
            raise InputError(f'max_gap is {max_gap} but a number from 1 (no frame missing) or None (any) is needed')
        self.capacity = capacity
        self.max_gap = max_gap
        self.max_bytes = max_bytes
        self.clear()

    def __len__(self) -> int:
        return len(self._held)

    def stream_ids(self) -> list[Hashable]:
        """Ids of the streams held, the least recently used first."""
        return list(self._held)

    def held(self) -> list[HeldStream]:
        """The streams, the least recently used first; they stay as they are while the bank goes on."""
        return list(self._held.values())

    def state_bytes(self) -> int:
        """Memory of all states held, in bytes."""
        return sum(stream.num_bytes for stream in self._held.values())

    def next_frame_id(self, stream_id: Hashable) -> int:
        """The frame id that a stream runs on with, 0 for one that is not held."""
        return self._held[stream_id].frame_id + 1 if stream_id in self._held else 0

    def __getstate__(self) -> dict:
        return {'capacity': self.capacity, 'max_gap': self.max_gap, 'max_bytes': self.max_bytes}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)

    def recall(self, stream_ids: Sequence[Hashable], frame_ids: Sequence[int],
               sizes: Sequence[tuple[int, int]]) -> tuple[ShiftState | None, list[str | None]]:
        """What the streams of a batch remember.

        Args:
            stream_ids: whose frame stands in each row of the batch.
            frame_ids: of these frames, from 0.
            sizes: (H, W) of the source frames.

        Returns:
            The pasts of the batch, N rows a site, zeros for streams that start afresh, None if all
            do; and for each stream why it starts afresh, None if it runs on.

        Raises:
            InputError: an id stands twice in the batch, or the batch is larger than the capacity.
        """
        self.check_batch(stream_ids)
        reasons = [self._reset_reason(*row) for row in zip(stream_ids, frame_ids, sizes, strict=True)]
        running = {i: self._held[stream_ids[i]].state for i, reason in enumerate(reasons) if reason is None}
        if not running:
            return None, reasons
        rows = [running[i] if i in running else map_state(torch.zeros_like, next(iter(running.values())))
                for i in range(len(reasons))]
        # Streams held before the model moved to another device or type meet those held since.
        return (rows[0] if len(rows) == 1 else map_state(
            lambda *row: torch.cat([past.to(row[-1]) for past in row]), *rows)), reasons

    def hold(self, stream_ids: Sequence[Hashable], frame_ids: Sequence[int],
             sizes: Sequence[tuple[int, int]], present: ShiftState) -> None:
        """Remember the state after each stream's frame; the least recently used streams leave a full bank.

        Args:
            stream_ids: whose state stands in each row of ``present``.
            frame_ids: of the last frame that the state has seen.
            sizes: (H, W) of the source frames.
            present: N rows a site.
        """
        self.check_batch(stream_ids)
        alone = len(stream_ids) == 1
        streams = []
        for i, (stream_id, frame_id, size) in enumerate(zip(stream_ids, frame_ids, sizes, strict=True)):
            # A row is a view of the batch and would keep all of it alive.
            state = map_state(lambda t, i=i: t.detach() if alone else t[i:i + 1].detach().clone(), present)
            streams.append(HeldStream(stream_id, int(frame_id), tuple(size), state))
        self._check_bytes(streams)
        self._take(streams)

    def restore(self, streams: Sequence[HeldStream]) -> None:
        """Hold these streams, from :meth:`held` of another bank, and none else.

        Raises:
            InputError: there are more of them than there is room for; the bank stays as it was.
        """
        self.check_batch([stream.stream_id for stream in streams])
        self._check_bytes(streams)
        self.clear()
        self._take(streams)

    def _check_bytes(self, streams: Sequence[HeldStream]) -> None:
        num_bytes = sum(stream.num_bytes for stream in streams)
        if self.max_bytes is not None and num_bytes > self.max_bytes:
            raise InputError(f'the states of {len(streams)} streams take {num_bytes} bytes but there is room for '
                             f'{self.max_bytes}: raise max_bytes, or give fewer streams at once')

    def _take(self, streams: Sequence[HeldStream]) -> None:
        for stream in streams:
            if _is_finite(stream.state):
                self._farewells.pop(stream.stream_id, None)
                self._held[stream.stream_id] = stream
                self._held.move_to_end(stream.stream_id)
            else:
                self._forget(stream.stream_id, 'nonfinite')
        while len(self._held) > self.capacity or (
                self.max_bytes is not None and self.state_bytes() > self.max_bytes):
            self._forget(next(iter(self._held)), 'evicted')

    def drop(self, stream_id: Hashable) -> None:
        """Forget one stream; its next frame starts it afresh ('manual')."""
        if stream_id in self._held:
            self._forget(stream_id, 'manual')

    def clear(self) -> None:
        """Forget everything, as if no frame had been seen."""
        self._held: OrderedDict[Hashable, HeldStream] = OrderedDict()
        self._farewells: OrderedDict[Hashable, str] = OrderedDict()

    def _forget(self, stream_id: Hashable, reason: str) -> None:
        self._held.pop(stream_id, None)
        self._farewells[stream_id] = reason
        self._farewells.move_to_end(stream_id)
        if len(self._farewells) > _FAREWELLS:
            self._farewells.popitem(last=False)

    def _reset_reason(self, stream_id: Hashable, frame_id: int, size: tuple[int, int]) -> str | None:
        if stream_id not in self._held:
            return self._farewells.get(stream_id, 'new')
        held = self._held[stream_id]
        if tuple(size) != held.size:
            return 'size'
        if frame_id <= held.frame_id:
            return 'seek'
        if self.max_gap is not None and frame_id - held.frame_id > self.max_gap:
            return 'gap'
        return None

    def check_batch(self, stream_ids: Sequence[Hashable]) -> None:
        """Raise InputError when an id stands twice or there are more streams than the capacity."""
        if len(set(stream_ids)) < len(stream_ids):
            raise InputError(f'a stream id stands twice in {list(stream_ids)} but a batch has one frame of each '
                             'stream: pass its frames one after the other')
        if len(stream_ids) > self.capacity:
            raise InputError(f'{len(stream_ids)} streams came in one batch but there is room for {self.capacity}: '
                             'raise capacity (in a config: model.streams.capacity)')


def _is_finite(state: ShiftState) -> bool:
    """Whether no number of the state is NaN or infinite; a sum shows it in one pass over the memory."""
    sums = [tensor.sum(dtype=torch.float32) for part in state for tensor in part]
    return not sums or math.isfinite(torch.stack(sums).sum())
