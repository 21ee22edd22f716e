"""A memory of good frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsm_det.models.operators.recent_frames import with_ones
from tsm_det.shift import fit_past


class GatedMemory(nn.Module):
    """Remembers features of frames as good as those in memory, or better, and mixes them into each frame.

    The minimal gated unit (Zhou et al., 2016) over maps, as in ConvGRU (Ballas et al., ICLR 2016, section 3), without
    convolutions: ``memory += gate * (frame - memory)``, then ``frame += tanh(10 * mix) * (memory - frame)`` per
    channel. The gate judges whole frames: it is one number, the sigmoid of the quality of the frame minus that of the
    memory, which a small network reads from how strong each channel is on average (Hu et al., CVPR 2018, section 3.1).
    So a bad frame can leave the memory alone and take from it, and a good one replace it. The first frame of a stream
    fills it. The past holds C + 1 maps.

    Args:
        channels: C.
        hidden: width of the network of quality.
    """

    def __init__(self, channels: int, hidden: int = 16) -> None:
        super().__init__()
        self.reduce = nn.Parameter(torch.randn(hidden, channels) * channels ** -0.5)
        self.reduce_bias = nn.Parameter(torch.zeros(hidden))
        self.expand = nn.Parameter(torch.zeros(1, hidden))
        self.gate_bias = nn.Parameter(torch.zeros(1))
        self.mix = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, frames: Tensor, clip_shape: tuple[int, int], past: Tensor | None) -> tuple[Tensor, Tensor, None]:
        """Apply the operator: see :class:`~tsm_det.sites.Operator`."""
        clip = frames.unflatten(0, clip_shape)
        memory, seen = fit_past(past, with_ones(clip[:, 0])).split([frames.shape[1], 1], dim=1)
        qualities, memories = self.quality(clip), []
        for frame, quality in zip(clip.unbind(1), qualities.unbind(1), strict=True):
            gate = self.gate(quality, memory)[..., None, None]
            memory, seen = memory.lerp(frame, (1 - seen * (1 - gate)).to(frame.dtype)), torch.ones_like(seen)
            memories.append(memory)
        # Ten: a few hundred steps of an optimizer move a weight by a tenth, which must suffice for a full mix.
        mixed = frames.lerp(torch.stack(memories, 1).flatten(0, 1), torch.tanh(10 * self.mix).to(frames.dtype))
        return mixed, with_ones(memory), None

    def gate(self, quality: Tensor, memory: Tensor) -> Tensor:
        """How much of a frame of that quality goes into a memory ``(..., C, H, W)``, 0 to 1: ``(..., 1)``."""
        return torch.sigmoid(quality - self.quality(memory) + self.gate_bias)

    def quality(self, maps: Tensor) -> Tensor:
        """One number per map ``(..., C, H, W)``: ``(..., 1)``."""
        strength = maps.abs().mean((-2, -1)).add(1e-4).log()
        return F.linear(F.linear(strength, self.reduce, self.reduce_bias).relu(), self.expand)
