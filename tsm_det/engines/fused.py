"""Convolutions on a CPU with packed weights, and with the activation or residual sum behind them in the same call.

torch.compile calls the same operators of oneDNN. They are not public, so :func:`can_fuse` looks for them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmdet.models.backbones import ResNet
from mmdet.models.backbones.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from tsm_det.models.box_selection import TopKRPNHead

_OPERATORS = torch.ops.mkldnn
# Shapes of a convolution's input to pack for before packing again; each takes little memory.
_MOST_SHAPES = 256
# oneDNN's name of each activation, and its numbers.
_ACTIVATIONS = {nn.Identity: ('none', ()), nn.ReLU: ('relu', ()), nn.ReLU6: ('hardtanh', (0.0, 6.0)),
                nn.SiLU: ('swish', ())}


def can_fuse(dtype: torch.dtype) -> bool:
    """Whether this torch has the operators, and this CPU runs them in ``dtype``, float32 or bfloat16."""
    names = ('_convolution_pointwise', '_convolution_pointwise_', '_reorder_convolution_weight',
             '_get_mkldnn_serialized_md', '_is_mkldnn_bf16_supported')
    return (torch.backends.mkldnn.is_available() and all(hasattr(_OPERATORS, name) for name in names)
            and (dtype == torch.float32 or _OPERATORS._is_mkldnn_bf16_supported()))


def fuse(parts: Sequence[nn.Module]) -> None:
    """Fuse the convolutions of networks in place. The names of modules and weights stay, and so do hooks.

    Args:
        parts: on a CPU, in eval mode, with batch norms folded and weights ``channels_last``.
    """
    modules = [module for part in parts for module in part.modules()]
    for module in modules:
        if type(module) is nn.Conv2d and module.padding_mode == 'zeros':
            module.__class__ = PackedConv2d
            module.packed, module.activation = {}, _ACTIVATIONS[nn.Identity]
    for module in modules:
        if isinstance(module, ConvModule):
            _fuse_conv_module(module)
        elif isinstance(module, ResNet):
            _fuse_stem(module)
        elif isinstance(module, nn.Sequential):
            _fuse_blocks(module)
        elif type(module) is TopKRPNHead and type(module.rpn_conv) is PackedConv2d:
            module.__class__ = FusedRPNHead
            module.rpn_conv.activation = _ACTIVATIONS[nn.ReLU]


class PackedConv2d(nn.Conv2d):
    """A convolution and its activation; with a ``total``, ``relu(convolution + total)``, written into ``total``.

    ``packed`` holds the weights by shape of the input. oneDNN chooses one of a few layouts for each shape, and would
    repack weights of another layout at each call, which takes longer than the convolution.
    """

    packed: dict[tuple[int, ...] | bytes, Tensor]
    activation: tuple[str, tuple[float, ...]]

    def forward(self, frames: Tensor, total: Tensor | None = None) -> Tensor:
        """See the class; frames are ``(N, C, H, W)``."""
        weight = self.packed.get(frames.shape)
        if weight is None:
            weight = self._pack(frames.shape)
        convolution = weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        if total is None:
            return _OPERATORS._convolution_pointwise.default(frames, *convolution, *self.activation, '')
        return _OPERATORS._convolution_pointwise_.binary(
            total, frames, *convolution, 'add', None, self.activation[0], (), None)

    def _pack(self, shape: torch.Size) -> Tensor:
        if len(self.packed) > _MOST_SHAPES:
            self.packed.clear()
        weight = _OPERATORS._reorder_convolution_weight(
            self.weight, self.padding, self.stride, self.dilation, self.groups, shape)
        description = _OPERATORS._get_mkldnn_serialized_md(weight).numpy().tobytes()
        # A C struct; between its fields stand two gaps of 4 bytes, which hold anything.
        layout = description[:4] + description[8:108] + description[112:]
        self.packed[shape] = self.packed.setdefault(layout, weight)
        return self.packed[shape]

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.packed = {}  # of the weights before

    def __getstate__(self) -> dict:
        return {**self.__dict__, 'packed': {}}  # packed weights can be neither copied nor pickled


class FusedBasicBlock(nn.Module):
    """mmdet's BasicBlock."""

    def forward(self, frames: Tensor) -> Tensor:
        """See the parent."""
        return self.conv2(self.conv1(frames), _identity(self, frames))


class FusedBottleneck(nn.Module):
    """mmdet's Bottleneck."""

    def forward(self, frames: Tensor) -> Tensor:
        """See the parent."""
        return self.conv3(self.conv2(self.conv1(frames)), _identity(self, frames))


class FusedRPNHead(TopKRPNHead):
    """RPNHead whose first convolution has the activation."""

    def forward_single(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """See the parent."""
        level = self.rpn_conv(level)
        return self.rpn_cls(level), self.rpn_reg(level)


def _identity(block: nn.Module, frames: Tensor) -> Tensor:
    """A map that the residual may be added to: others read the input of the first block, but of no other."""
    if block.downsample is not None:
        return block.downsample(frames)
    return frames.clone() if block.is_first else frames


def _fuse_blocks(layer: nn.Sequential) -> None:
    fused = {BasicBlock.forward: FusedBasicBlock, Bottleneck.forward: FusedBottleneck}
    for place, block in enumerate(layer):
        parts = dict(block.named_children())
        convolutions = [part for name, part in parts.items() if name.startswith('conv')]
        others = [part for name, part in parts.items() if not name.startswith('conv') and name != 'downsample']
        if (type(block).forward in fused and all(type(part) is PackedConv2d for part in convolutions)
                and all(type(part) in (nn.Identity, nn.ReLU) for part in others)):
            block.__class__, block.is_first = fused[type(block).forward], place == 0
            for convolution in convolutions:
                convolution.activation = _ACTIVATIONS[nn.ReLU]


def _fuse_conv_module(module: ConvModule) -> None:
    if (type(module.conv) is PackedConv2d and module.with_activation and module.order == ('conv', 'norm', 'act')
            and type(module.norm) in (nn.Identity, type(None)) and type(module.activate) in _ACTIVATIONS):
        module.conv.activation, module.activate = _ACTIVATIONS[type(module.activate)], nn.Identity()


def _fuse_stem(backbone: ResNet) -> None:
    if not backbone.deep_stem and type(backbone.conv1) is PackedConv2d and type(backbone.norm1) is nn.Identity:
        backbone.conv1.activation, backbone.relu = _ACTIVATIONS[nn.ReLU], nn.Identity()
