"""ResNet with the temporal shift in its residual blocks."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch.utils.checkpoint
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck, ResNet
from mmdet.registry import MODELS
from torch import Tensor, nn

from tsm_det.errors import InputError
from tsm_det.shift_inplace import shift_in_place
from tsm_det.sites import pasts_by_site


class TemporalResidual:
    """Mixin: a site in front of a residual block's first convolution, without parameters of its own.

    Identity and downsample path see the frames unshifted (TSM paper, section 3.3, residual shift), so the present
    frame loses no information.
    """

    def forward_clip(
            self, frames: Tensor, num_frames: int, past: Tensor | None, shift_div: int) -> tuple[Tensor, Tensor]:
        """Return the block's output for ``frames`` ``(N*T, C, H, W)``, T = ``num_frames``, and the site's present."""
        def shift_and_add(frames: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
            with shift_in_place([frames], num_frames, [past], shift_div) as ([shifted], [present]):
                out = self.residual(shifted)
            out += frames if self.downsample is None else self.downsample(frames)
            return self.relu(out), present

        if self.with_cp and frames.requires_grad:
            return torch.utils.checkpoint.checkpoint(shift_and_add, frames, past, use_reentrant=False)
        return shift_and_add(frames, past)


class TSMBasicBlock(TemporalResidual, BasicBlock):
    """Two 3x3 convolutions, for ResNet-18 and 34."""

    def residual(self, frames: Tensor) -> Tensor:
        out = self.relu(self.norm1(self.conv1(frames)))
        return self.norm2(self.conv2(out))


class TSMBottleneck(TemporalResidual, Bottleneck):
    """1x1, 3x3, 1x1 convolutions, for ResNet-50, 101 and 152."""

    def residual(self, frames: Tensor) -> Tensor:
        out = self.relu(self.norm1(self.conv1(frames)))
        out = self.relu(self.norm2(self.conv2(out)))
        return self.norm3(self.conv3(out))


_TEMPORAL = {BasicBlock: TSMBasicBlock, Bottleneck: TSMBottleneck}


@MODELS.register_module()
class TSMResNet(ResNet):
    """ResNet with the online temporal shift in its residual blocks (TSM, ICCV 2019, section 4.2).

    Parameter names are ResNet's, so its checkpoints load unmapped, and back. As a plain backbone,
    ``backbone(images)`` treats every image as the first frame of its own stream. Raises InputError when a key is out of
    range or not supported.

    Args:
        shift_div: one channel in ``shift_div`` of a site's input comes from the previous frame.
        shift_stages: stages (0 to 3) with sites; ``()`` is the 2D baseline, equal to ResNet bit for bit.
        shift_every: distance of sites in blocks; None follows the paper: 2 when the third stage has 23 blocks or more
            (ResNet-101: 18 sites, 152: 26), else 1 (ResNet-50: 16).
        kwargs: ResNet's keys; ``dcn`` and ``plugins`` are not supported.
    """

    def __init__(self, depth: int, *, shift_div: int = 8, shift_stages: Sequence[int] = (0, 1, 2, 3),
                 shift_every: int | None = None, **kwargs) -> None:
        for key in ('dcn', 'plugins'):
            if kwargs.get(key) is not None:
                raise InputError(f'{key} was given but TSMResNet has no shifted block for it: remove {key}, '
                                 'or use mmdet.ResNet for a detector without shift')
        super().__init__(depth, **kwargs)
        if shift_every is None:
            shift_every = 2 if self.arch_settings[depth][1][2] >= 23 else 1
        for key, value, hint in (('shift_div', shift_div, 'the paper uses 8'),
                                 ('shift_every', shift_every, '1 shifts every block')):
            if value < 1:
                raise InputError(f'{key} is {value} but must be at least 1: {hint}')
        if unknown := set(shift_stages) - set(range(self.num_stages)):
            raise InputError(f'shift_stages has {sorted(unknown)} but the network has stages 0 to '
                             f'{self.num_stages - 1}: name stages to shift, () for none')
        self.shift_div = shift_div
        self.sites = tuple(
            (stage, block)
            for stage in sorted(set(shift_stages)) for block in range(0, self.stage_blocks[stage], shift_every))
        for stage, block in self.sites:
            inplanes = getattr(self, self.res_layers[stage])[block].conv1.in_channels
            if inplanes < shift_div:
                raise InputError(f'block {block} of stage {stage} has {inplanes} input channels but shift_div is '
                                 f'{shift_div}: choose at most {inplanes}')
        if frozen := sorted(stage for stage in shift_stages if stage < self.frozen_stages):
            warnings.warn(f'frozen_stages={self.frozen_stages} freezes stages {frozen}, which have shift sites: their '
                          'convolutions cannot adapt to channels of the previous frame; lower frozen_stages, or leave '
                          'these stages out of shift_stages', stacklevel=2)

    def make_res_layer(self, **kwargs) -> nn.Module:
        """Build a stage of temporal blocks; ``self.block`` stays mmdet's class."""
        return super().make_res_layer(**{**kwargs, 'block': _TEMPORAL[kwargs['block']]})

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the features of images ``(N, C, H, W)``, each the first frame of its own stream."""
        return self.forward_clip(x.unsqueeze(1))[0]

    def forward_clip(
            self, clip: Tensor, past: Sequence[Tensor] = ()) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Compute the features of a clip that continues ``past``.

        Args:
            clip: ``(N, T, C, H, W)``, oldest frame first.
            past: one tensor ``(N, C_shift, H, W)`` per site, or ``()`` at the start of the streams.

        Returns:
            One feature map ``(N*T, C_i, H_i, W_i)`` per out index, and the past of the next clip.

        Raises:
            ValueError: the clip is not 5-D or the past does not fit.
        """
        pasts = pasts_by_site(self.sites, past, 'backbone')
        if clip.ndim != 5:
            raise InputError(f'clip is {tuple(clip.shape)} but must be (N, T, C, H, W): '
                             'call the backbone itself for images (N, C, H, W)')
        num_frames, frames = clip.shape[1], clip.flatten(0, 1)
        frames = self.maxpool(self.stem(frames) if self.deep_stem else self.relu(self.norm1(self.conv1(frames))))
        outs, present = [], []
        for stage, name in enumerate(self.res_layers):
            for index, block in enumerate(getattr(self, name)):
                if (stage, index) in pasts:
                    frames, site = block.forward_clip(frames, num_frames, pasts[stage, index], self.shift_div)
                    present.append(site)
                else:
                    frames = block(frames)
            if stage in self.out_indices:
                outs.append(frames)
        return tuple(outs), tuple(present)

    def train(self, mode: bool = True) -> TSMResNet:
        """Set the mode as ResNet does (frozen stages, ``norm_eval``) and, unlike ResNet, return the network."""
        super().train(mode)
        return self
