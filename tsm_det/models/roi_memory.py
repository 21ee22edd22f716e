"""A memory of the best proposals of past frames, read by attention. Imports only torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsm_det.errors import InputError
from tsm_det.shift import fit_past


class RoIMemory(nn.Module):
    """Adds to the features of proposals what they attend to in the best proposals of this frame and of frames before.

    Attention between proposals of many frames is that of Wu et al., "Sequence Level Semantics Aggregation for Video
    Object Detection", ICCV 2019; a recent and a long-range memory that of Chen et al., "Memory Enhanced Global-Local
    Aggregation", CVPR 2020. Both read future frames; this memory is causal.

    Frame ``c`` of a stream, counted from 0, sees ``recent`` frames, ``c`` to ``c - recent + 1``, and of those before
    them the last ``sparse`` whose number is a multiple of ``every``. Each frame leaves ``k`` tokens, a key and a value
    per proposal; a last channel of ones says that there was a proposal. A zero token is always visible, so that a
    proposal may read nothing. At initialisation the output is the input.

    Args:
        channels: C, of the features.
        k: tokens per frame.
        recent: number of recent frames, the present one included.
        sparse: number of frames before them; 0 is a first-in-first-out memory.
        every: distance of these, in frames.
        num_heads: of the attention; divides ``C / reduction``.
        reduction: how many times fewer channels queries, keys and values have.

    Raises InputError when a number is out of range.
    """

    sites = ('tokens', 'phase')
    next_matches: Tensor

    def __init__(self, channels: int, k: int = 16, recent: int = 4, sparse: int = 8, every: int = 8,
                 num_heads: int = 4, reduction: int = 4) -> None:
        super().__init__()
        for key, number, least in (('k', k, 1), ('recent', recent, 1), ('sparse', sparse, 0), ('every', every, 1),
                                   ('num_heads', num_heads, 1), ('reduction', reduction, 1)):
            if not isinstance(number, int) or number < least:
                raise InputError(f'memory.{key} is {number} but must be a whole number, at least {least}')
        self.width = channels // reduction
        if channels % (reduction * num_heads):
            raise InputError(f'memory has {num_heads} heads and reduction {reduction} but {channels} channels: choose '
                             'numbers whose product divides them')
        self.k, self.recent, self.sparse, self.every, self.num_heads = k, recent, sparse, every, num_heads
        self.to_query = nn.Linear(channels, self.width)
        self.to_token = nn.Linear(channels, 2 * self.width)
        self.age_bias = nn.Parameter(torch.zeros(recent + sparse, num_heads))
        self.to_output = nn.Linear(self.width, channels)
        nn.init.zeros_(self.to_output.weight)
        nn.init.zeros_(self.to_output.bias)
        self.register_buffer('next_matches', self.matches(torch.arange(every), torch.arange(2).expand(every, 2)),
                             persistent=False)

    def forward(self, features: Tensor, best: Tensor, is_there: Tensor, clip_shape: tuple[int, int],
                past: Sequence[Tensor | None] = (None, None),
                numbers: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read the memory, and write the frames into it.

        Args:
            features: ``(N*T, Q, C)``, of the proposals of each frame.
            best: ``(N*T, k, C)``, of those that the frames are remembered by.
            is_there: ``(N*T, k)``; False where a frame has fewer.
            clip_shape: (N, T).
            past: see below; None at the start of the streams.
            numbers: ``(N, T)``, of the frames in their streams, minus the first; None: they are consecutive.

        Returns:
            Features like those given, and the past of the next clip: tokens
            ``(N, recent - 1 + sparse, k, 2 * width + 1)``, in the order of :meth:`ages`, and ``(N, 1)``,
            the number of its first frame modulo ``every``.
        """
        n, t = clip_shape
        written = torch.cat([self.to_token(best), torch.ones_like(best[..., :1])], dim=2)
        written = (written * is_there.unsqueeze(2)).unflatten(0, clip_shape)
        tokens, phase = map(fit_past, past, self.empty(n))
        zero = written.new_zeros(n, 1, written.shape[-1])
        seen = torch.cat([tokens.flatten(1, 2), written.flatten(1, 2), zero], dim=1)
        frames = seen[:, :-1].unflatten(1, (-1, self.k))
        if numbers is None and t == 1:  # a frame of a stream, looked up for speed
            is_seen, next_phase = self.next_matches[phase[:, 0].long().remainder(self.every)], phase + 1
        else:
            if numbers is None:
                numbers = torch.arange(t, device=frames.device).expand(n, -1)
            numbers = torch.cat([numbers, numbers[:, -1:] + 1], dim=1)
            is_seen, next_phase = self.matches(phase[:, 0].long(), numbers), phase + numbers[:, -1:]
        attended = self._attend(features.unflatten(0, clip_shape), seen, is_seen[:, :-1])
        present = _chosen(frames, is_seen[:, -1, :, 1:]), next_phase.remainder(self.every)
        return features + self.to_output(attended).flatten(0, 1), present

    def empty(self, num_streams: int) -> tuple[Tensor, Tensor]:
        """The past at the start of N streams."""
        shape = num_streams, self.recent - 1 + self.sparse, self.k, 2 * self.width + 1
        return self.age_bias.new_zeros(shape), self.age_bias.new_zeros(num_streams, 1)

    def ages(self, phase: Tensor) -> Tensor:
        """How many frames ago the frames were that a frame sees, ``(..., recent + sparse)``, its own first.

        Args:
            phase: number of the frame in its stream, which may be reduced modulo ``every``.
        """
        offset = torch.arange(self.recent + self.sparse, device=phase.device)
        newest_sparse = self.recent + (phase - self.recent).remainder(self.every)
        return offset.where(offset < self.recent,
                            newest_sparse.unsqueeze(-1) + self.every * (offset - self.recent))

    def matches(self, phase: Tensor, numbers: Tensor) -> Tensor:
        """Which frames each frame of a clip, and the one after it, sees at which place of :meth:`ages`.

        Args:
            phase: ``(N,)``, number of the clip's first frame in its stream.
            numbers: ``(N, T + 1)``, of these frames, minus the first.

        Returns:
            ``(N, T + 1, remembered + T, recent + sparse)``, bool.
        """
        wanted = self.ages(phase.unsqueeze(1) + numbers)
        remembered = wanted[:, :1, 1:] + numbers.unsqueeze(2)
        own = numbers.unsqueeze(2) - numbers[:, None, :-1]
        own = own.masked_fill(torch.ones_like(own[0], dtype=torch.bool).triu(1), -1)  # frames may be repeated
        return torch.cat([remembered, own], dim=2).unsqueeze(3) == wanted.unsqueeze(2)

    def _attend(self, features: Tensor, tokens: Tensor, is_seen: Tensor) -> Tensor:
        """Read ``(N, T, Q, width)`` for features ``(N, T, Q, C)`` from tokens
        ``(N, F * k + 1, 2 * width + 1)``.

        ``is_seen`` is that of :meth:`matches`, of the T frames.
        """
        keys, values, is_there = tokens.split([self.width, self.width, 1], dim=2)
        is_open = is_seen.any(3, keepdim=True) & (is_there[:, :-1] != 0).unflatten(1, (-1, self.k))[:, None, :, :, 0]
        bias = (is_seen.to(tokens) @ self.age_bias).transpose(2, 3).unsqueeze(4)  # (N, T, heads, F, 1)
        bias = F.pad(bias.masked_fill(~is_open.unsqueeze(2), -torch.inf).flatten(3), (0, 1))  # the last token is zero
        queries = F.pad(self.to_query(features), (0, 0, 0, 1))  # else torch.export would ask whether there are any
        clip_shape, num_queries = queries.shape[:2], queries.shape[2]
        keys, values = (self._heads(past).unsqueeze(1).expand(-1, clip_shape[1], -1, -1, -1).flatten(0, 1)
                        for past in (keys, values))
        bias = bias.unsqueeze(3).expand(-1, -1, -1, num_queries, -1).flatten(0, 1)
        read = F.scaled_dot_product_attention(self._heads(queries).flatten(0, 1), keys, values, bias)
        return read.transpose(1, 2).flatten(2).unflatten(0, clip_shape)[:, :, :-1]

    def _heads(self, vectors: Tensor) -> Tensor:
        """``(..., n, width)`` to ``(..., heads, n, width / heads)``."""
        return vectors.unflatten(-1, (self.num_heads, -1)).transpose(-2, -3)

    def signature(self) -> tuple:
        """Return what gives a past its meaning besides the weights."""
        return self.k, self.recent, self.sparse, self.every, self.num_heads


def _chosen(frames: Tensor, is_wanted: Tensor) -> Tensor:
    """Tokens ``(N, L, k, ...)`` of the frames that ``is_wanted`` ``(N, F, L)`` names, zeros where it names none."""
    streams = torch.arange(len(frames), device=frames.device).unsqueeze(1)
    return frames[streams, is_wanted.int().argmax(1)].masked_fill_(~is_wanted.any(1)[:, :, None, None], 0)
