"""Backbones with the temporal shift: mmdet's, with a site in front of each module that a pattern names."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable, Sequence

from mmdet.models import backbones
from torch import Tensor, nn

from tsm_det.errors import InputError
from tsm_det.models.operators import OPERATORS
from tsm_det.models.temporal_class import temporal_class
from tsm_det.shift_offline import shift_operator
from tsm_det.sites import Operator, Tape, attach_sites, is_recording, longest_path


class TemporalBackbone(nn.Module):
    """Mixin: the online temporal shift (TSM, ICCV 2019, section 4.2) in front of mmdet's residual branches.

    The identity path sees the frames unshifted (section 3.3, residual shift), so the present frame loses nothing.
    Parameter names are the parent's, so its checkpoints load unmapped, and back. As a plain backbone,
    ``backbone(images)`` treats every image as the first frame of its own stream. Raises InputError when a key is out of
    range.

    Args:
        shift_div: one channel in ``shift_div`` of a site's input comes from the previous frame.
        shift_stages: stages with sites, from 0; None is all, ``()`` is the 2D baseline, equal to mmdet bit for bit.
        shift_every: distance of sites in blocks; None follows the paper: 2 if a stage has 23 sites or more
            (ResNet-101: 18 sites, 152: 26), else 1 (ResNet-50: 16).
        operator: what sites do: 'shift', or one of :data:`~tsm_det.models.operators.OPERATORS`, whose weights stand
            under ``temporal`` in checkpoints.
        direction: 'past' is the online shift. 'both' is the offline shift of section 4.1, for recordings: one more
            channel in ``shift_div`` comes from the next frame, and ``forward_clip`` takes no past.
        kwargs: the parent's keys.
    """

    site_pattern: str  # of the names of modules behind sites; groups are numbers, first the stage, last the block
    reader: str | None = None  # see temporal_backbone
    out_indices: Sequence[int]

    def __init__(self, *args, shift_div: int = 8, shift_stages: Sequence[int] | None = None,
                 shift_every: int | None = None, operator: str = 'shift', direction: str = 'past', **kwargs) -> None:
        super().__init__(*args, **kwargs)
        stages = _stages(self, self.site_pattern)
        if shift_div < 1:
            raise InputError(f'shift_div is {shift_div} but must be at least 1: the paper uses 8')
        if shift_every is not None and shift_every < 1:
            raise InputError(f'shift_every is {shift_every} but must be at least 1: 1 shifts every block')
        if operator not in ('shift', *OPERATORS):
            raise InputError(f'operator is {operator!r} but must be one of shift, {", ".join(OPERATORS)}')
        if operator != 'shift' and direction != 'past':
            raise InputError(f"direction is {direction!r} but the operator {operator} reads past frames only: set "
                             "operator='shift'")
        shift_stages = range(len(stages)) if shift_stages is None else sorted(set(shift_stages))
        if unknown := set(shift_stages) - set(range(len(stages))):
            raise InputError(f'shift_stages has {sorted(unknown)} but the network has stages 0 to '
                             f'{len(stages) - 1}: name stages to shift, () for none')
        if shift_every is None:
            shift_every = 2 if any(len(blocks) >= 23 for stage in stages for blocks in stage.values()) else 1
        chosen = {(stage, *site): name for stage in shift_stages
                  for blocks in stages[stage].values() for site, name in blocks[::shift_every]}
        self.shift_div, self.operator, self.direction = shift_div, operator, direction
        self.sites, self.site_names = tuple(chosen), tuple(chosen.values())
        self.reach = longest_path(self.site_pattern, self.site_names)
        attach_sites(self, self.site_names, self._operators())

    def _operators(self) -> Iterable[Operator]:
        if self.operator == 'shift':
            _check_widths(self, self.site_names, self.shift_div)
            _warn_of_frozen_sites(self)
            return [shift_operator(self.direction, self.shift_div)] * len(self.sites)
        widths = [_width(self, name) for name in self.site_names]
        self.temporal = nn.ModuleList(OPERATORS[self.operator](width) for width in widths)
        return self.temporal

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the features of images ``(N, C, H, W)``, each the first frame of its own stream."""
        return super().forward(x) if is_recording() else self.forward_clip(x.unsqueeze(1))[0]

    def forward_clip(
            self, clip: Tensor, past: Sequence[Tensor] = ()) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Compute the features of a clip that continues ``past``.

        Args:
            clip: ``(N, T, C, H, W)``, oldest frame first.
            past: one tensor per site, ``(N, C_shift, H, W)`` for the shift, or ``()`` at the start of the streams.

        Returns:
            One feature map ``(N*T, C_i, H_i, W_i)`` per out index, and the past of the next clip.

        Raises:
            ValueError: the clip is not 5-D or the past does not fit.
        """
        if clip.ndim != 5:
            raise InputError(f'clip is {tuple(clip.shape)} but must be (N, T, C, H, W): '
                             'call the backbone itself for images (N, C, H, W)')
        with Tape(len(self.sites), (clip.shape[0], clip.shape[1]), past) as tape:
            feats = self(clip.flatten(0, 1))
        return tuple(feats), tape.present(self.site_names)

    def site_of(self, level: int) -> int | None:
        """Return the place of the site that reads the features of a level as the neck gets them, None without one."""
        reader = self.reader and self.reader.format(self.out_indices[level] + 2)
        return self.site_names.index(reader) if reader in self.site_names else None

    def signature(self) -> tuple:
        """Return what gives a past its meaning besides the weights."""
        return self.shift_div if self.operator == 'shift' else self.operator, self.sites

    def train(self, mode: bool = True) -> TemporalBackbone:
        """Set the mode as the parent does and, unlike some parents, return the network."""
        super().train(mode)
        return self


def temporal_backbone(backbone: type, pattern: str, reader: str | None = None) -> type:
    """Make and register ``TSM`` + the name of a backbone class, with sites in front of modules.

    Args:
        backbone: a class whose ``forward`` takes images ``(N, C, H, W)`` and runs each named module once.
        pattern: regular expression of the names of these modules, relative to the backbone. Its groups are numbers:
            the first is the stage, the last the block, e.g. ``r'layer(\\d+)\\.(\\d+)\\.conv1'``. A group named
            ``branch`` numbers modules that run in parallel. Each module takes a map ``(N, C, H, W)``, or tokens
            ``(N, L, C)``, as its first argument.
        reader: name of the module of stage ``{}``, from 1, that reads the features of the stage before, unchanged and
            before any other use could change them; a neck's site on these features shares its past. The backbone has
            ``out_indices``, stages from 0.
    """
    return temporal_class(TemporalBackbone, backbone, site_pattern=pattern, reader=reader)


def _stages(network: nn.Module, pattern: str) -> list[dict[tuple, list[tuple]]]:
    """For each stage: by all but the last number of a site, its (id without the stage, name of module) in order."""
    names = [name for name, _ in network.named_modules() if name]
    matches = {name: tuple(map(int, match.groups())) for name in names if (match := re.fullmatch(pattern, name))}
    if not matches:
        near = difflib.get_close_matches(re.sub(r'\W+', '.', pattern.replace(r'\d+', '0')), names, 5, 0.4)
        raise InputError(f'no module of {type(network).__name__} matches {pattern!r}: near it are '
                         f'{", ".join(near or names[:5])}')
    stages: dict[int, dict[tuple, list[tuple]]] = {}
    for name, (stage, *rest) in matches.items():
        stages.setdefault(stage, {}).setdefault(tuple(rest[:-1]), []).append((tuple(rest), name))
    return [stages[stage] for stage in sorted(stages)]


def _check_widths(network: nn.Module, names: Sequence[str], shift_div: int) -> None:
    for name in names:
        width = getattr(network.get_submodule(name), 'in_channels', shift_div)
        if width < shift_div:
            raise InputError(f'{name} has {width} input channels but shift_div is {shift_div}: choose at most {width}')


def _width(network: nn.Module, name: str) -> int:
    """Channels of the input of a module, as it or the first of its parts that knows them says."""
    for part in network.get_submodule(name).modules():
        for attribute in ('in_channels', 'embed_dims', 'in_features'):
            if hasattr(part, attribute):
                return getattr(part, attribute)
    raise InputError(f'{name} has none of in_channels, embed_dims and in_features: set one of them to the number of '
                     'its input channels, which an operator with weights must know')


def _warn_of_frozen_sites(network: TemporalBackbone) -> None:
    frozen = {site[0] for site, name in zip(network.sites, network.site_names, strict=True)
              if not any(parameter.requires_grad for parameter in network.get_submodule(name).parameters())}
    if frozen:
        warnings.warn(f'frozen_stages={network.frozen_stages} freezes stages {sorted(frozen)}, which have shift sites: '
                      'their convolutions cannot adapt to channels of the previous frame; lower frozen_stages, or '
                      'leave these stages out of shift_stages', stacklevel=3)


_RESNET = r'layer(\d+)\.(\d+)\.conv1', 'layer{}.0.conv1'
TSMResNet = temporal_backbone(backbones.ResNet, *_RESNET)
TSMResNetV1d = temporal_backbone(backbones.ResNetV1d, *_RESNET)
TSMResNeXt = temporal_backbone(backbones.ResNeXt, *_RESNET)
TSMRes2Net = temporal_backbone(backbones.Res2Net, *_RESNET)
TSMResNeSt = temporal_backbone(backbones.ResNeSt, *_RESNET)
TSMRegNet = temporal_backbone(backbones.RegNet, *_RESNET)
TSMDetectoRS_ResNet = temporal_backbone(backbones.DetectoRS_ResNet, *_RESNET)
TSMHRNet = temporal_backbone(backbones.HRNet, r'stage(\d+)\.(\d+)\.branches\.(?P<branch>\d+)\.(\d+)\.conv1')
TSMMobileNetV2 = temporal_backbone(backbones.MobileNetV2, r'layer(\d+)\.([1-9]\d*)\.expand_conv')
TSMEfficientNet = temporal_backbone(backbones.EfficientNet, r'layers\.(\d+)\.([1-9]\d*)\.(?:expand_conv|conv1)')
TSMCSPNeXt = temporal_backbone(backbones.CSPNeXt, r'stage(\d+)\.(\d+)\.blocks\.(\d+)\.conv1')
TSMCSPDarknet = temporal_backbone(backbones.CSPDarknet, r'stage(\d+)\.(\d+)\.blocks\.(\d+)\.conv1')
TSMDarknet = temporal_backbone(backbones.Darknet, r'conv_res_block(\d+)\.res(\d+)\.conv1')
TSMSwinTransformer = temporal_backbone(backbones.SwinTransformer, r'stages\.(\d+)\.blocks\.(\d+)\.attn')
TSMPyramidVisionTransformer = temporal_backbone(backbones.PyramidVisionTransformer, r'layers\.(\d+)\.1\.(\d+)\.attn')
TSMPyramidVisionTransformerV2 = temporal_backbone(
    backbones.PyramidVisionTransformerV2, r'layers\.(\d+)\.1\.(\d+)\.attn')
