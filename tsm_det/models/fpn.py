"""FPN with the temporal shift."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmdet.models.necks import FPN
from mmdet.registry import MODELS
from torch import Tensor

from tsm_det.errors import InputError
from tsm_det.shift_inplace import shift_in_place
from tsm_det.sites import pasts_by_site


@MODELS.register_module()
class TSMFPN(FPN):
    """FPN with the online temporal shift, one site per level.

    A pyramid has no identity path, so the present frame loses the channels that a site replaces. The loss is smallest
    at the lateral inputs: they are 1 to 8 times wider than the pyramid, and the levels above pass the lost part on. In
    the 256-channel path the heads lose an eighth of their map, but the state is smaller (R50 at 608x1024, fp32: 6.6 MB
    against 9.3) and the 3x3 convolution can follow motion.

    Args:
        shift_div: one channel in ``shift_div`` of a site's input comes from the previous frame.
        shift_levels: levels with a site, counted from ``start_level``; ``()`` equals FPN bit for bit.
        shift_at: 'lateral' shifts the inputs of the 1x1 convolutions, 'inner' those of the output convolutions (the
            top-down path stays unshifted).
        kwargs: FPN's keys; raises InputError when a key is out of range or conflicts with another.
    """

    def __init__(self, *args, shift_div: int = 8, shift_levels: Sequence[int] = (0, 1, 2, 3),
                 shift_at: str = 'lateral', **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if shift_at not in ('lateral', 'inner'):
            raise InputError(f"shift_at is {shift_at!r} but must be 'lateral' or 'inner'")
        if shift_at == 'inner' and self.add_extra_convs:
            raise InputError(f"add_extra_convs={self.add_extra_convs!r} conflicts with shift_at='inner': "
                             "use shift_at='lateral' or add_extra_convs=False")
        if unknown := set(shift_levels) - set(range(len(self.lateral_convs))):
            raise InputError(f'shift_levels has {sorted(unknown)} but the pyramid has levels 0 to '
                             f'{len(self.lateral_convs) - 1}: name levels to shift, () for none')
        widths = self.in_channels[self.start_level:] if shift_at == 'lateral' else [self.out_channels]
        if shift_levels and not 1 <= shift_div <= min(widths):
            raise InputError(f'shift_div is {shift_div} but must be 1 to {min(widths)}, the channels of the '
                             'narrowest level')
        self.shift_div = shift_div
        self.sites = tuple(sorted(set(shift_levels)))
        self.shift_at = shift_at

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Compute the pyramid of images, each the first frame of its own stream."""
        return self.forward_clip(inputs, num_frames=1)[0]

    def forward_clip(self, feats: Sequence[Tensor], num_frames: int,
                     past: Sequence[Tensor] = ()) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Compute the pyramid of a clip that continues ``past``.

        Args:
            feats: backbone features ``(N*T, C_i, H_i, W_i)``, T = ``num_frames``.
            num_frames: frames per stream in this clip.
            past: one tensor ``(N, C_shift, H, W)`` per site, or ``()`` at the start of the streams.

        Returns:
            The levels ``(N*T, out_channels, H_i, W_i)`` and the past of the next clip.

        Raises:
            ValueError: the past does not fit.
        """
        pasts = pasts_by_site(self.sites, past, 'neck')
        if not self.sites:
            return super().forward(feats), ()
        inner = self.shift_at == 'inner'
        levels = self._merge(feats) if inner else list(feats[self.start_level:])
        maps = [levels[site] for site in self.sites]
        with shift_in_place(maps, num_frames, list(pasts.values()), self.shift_div) as (shifted, present):
            for site, level in zip(self.sites, shifted, strict=True):
                levels[site] = level
            outs = self._outputs(levels) if inner else super().forward([*feats[:self.start_level], *levels])
        return outs, present

    def _merge(self, feats: Sequence[Tensor]) -> list[Tensor]:
        """Add the top-down path to the laterals: the inputs of FPN's output convolutions."""
        merged = [conv(feats[self.start_level + i]) for i, conv in enumerate(self.lateral_convs)]
        for i in range(len(merged) - 1, 0, -1):
            size = {} if 'scale_factor' in self.upsample_cfg else {'size': merged[i - 1].shape[2:]}
            merged[i - 1] = merged[i - 1] + F.interpolate(merged[i], **size, **self.upsample_cfg)
        return merged

    def _outputs(self, merged: Sequence[Tensor]) -> tuple[Tensor, ...]:
        outs = [conv(level) for conv, level in zip(self.fpn_convs, merged, strict=True)]
        while len(outs) < self.num_outs:
            outs.append(F.max_pool2d(outs[-1], 1, stride=2))
        return tuple(outs)
