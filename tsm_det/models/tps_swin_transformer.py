"""Swin with the temporal patch shift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdet.models.backbones import SwinTransformer
from mmdet.registry import MODELS

from tsm_det.errors import InputError
from tsm_det.models.backbones import TemporalBackbone
from tsm_det.models.patch_shift import CausalChannelShift, CausalPatchShift, ChannelShift, PatchShift
from tsm_det.sites import Operator

_DIRECTIONS: dict[str, tuple[type[ChannelShift], type[CausalPatchShift | PatchShift]]] = {
    'past': (CausalChannelShift, CausalPatchShift), 'both': (ChannelShift, PatchShift)}


@MODELS.register_module()
class TPSSwinTransformer(TemporalBackbone, SwinTransformer):
    """mmdet's Swin with the temporal patch shift of Xiang et al., ECCV 2022, section 3: every block attends in time.

    Even blocks, with plain windows, shift channels within each head; odd blocks, with shifted windows, shift patches.
    Names and shapes of weights are mmdet's, and so is the position bias: published weights of video models, whose bias
    also depends on time, do not fit. Raises InputError when a key is out of range.

    Args:
        shift_div: one channel in ``shift_div`` of each head comes from the previous frame, in even blocks.
        shift_stages: stages with sites, from 0; None is all, ``()`` is the 2D baseline, equal to mmdet bit for bit.
        direction: 'past' for streams: keys and values come from up to 4 frames before, and where a stream had none,
            from the present, so that its first frame equals mmdet's bit for bit. 'both' for whole clips, as published:
            patches come from up to 4 frames on either side, circular in time, and ``forward_clip`` takes no past.
        kwargs: the parent's keys.
    """

    site_pattern = r'stages\.(\d+)\.blocks\.(\d+)\.attn\.w_msa'

    def __init__(self, *args, shift_div: int = 8, shift_stages: Sequence[int] | None = None, direction: str = 'past',
                 **kwargs) -> None:
        if direction not in _DIRECTIONS:
            raise InputError(f'direction is {direction!r} but must be one of {", ".join(_DIRECTIONS)}')
        super().__init__(*args, shift_div=shift_div, shift_stages=shift_stages, shift_every=1, direction=direction,
                         **kwargs)
        patch_reach = 4 if direction == 'past' else 8  # patches from 4 frames on either side meet, and go back
        self.reach = sum(patch_reach if block % 2 else 1 for _, block in self.sites)

    def _operators(self) -> Sequence[Operator]:
        channel_shift, patch_shift = _DIRECTIONS[self.direction]
        return [patch_shift() if block % 2 else channel_shift(self._num_heads(name), self.shift_div)
                for (_, block), name in zip(self.sites, self.site_names, strict=True)]

    def _num_heads(self, name: str) -> int:
        attention: Any = self.get_submodule(name)
        width = attention.embed_dims // attention.num_heads
        if width < self.shift_div:
            raise InputError(f'heads of {name} have {width} channels but shift_div is {self.shift_div}: choose at most '
                             f'{width}')
        return attention.num_heads

    def signature(self) -> tuple:
        """Return what gives a past its meaning besides the weights."""
        return ('patch shift', self.shift_div, self.direction), self.sites
