"""One small network of each registered family, with random weights in double precision."""

from __future__ import annotations

import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

SMALL_SWIN = dict(embed_dims=24, depths=(2, 2, 2, 2), num_heads=(2, 2, 4, 4), window_size=4, drop_path_rate=0.0)
SMALL_PVT = dict(embed_dims=8, num_layers=[2, 2, 2, 2], drop_path_rate=0.0)
HR_STAGES = dict(
    stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(2,), num_channels=(8,)),
    stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(2, 2), num_channels=(8, 16)),
    stage3=dict(num_modules=2, num_branches=3, block='BASIC', num_blocks=(2, 2, 2), num_channels=(8, 16, 32)),
    stage4=dict(num_modules=1, num_branches=4, block='BASIC', num_blocks=(2, 2, 2, 2), num_channels=(8, 16, 32, 64)))
BACKBONES = {
    'ResNet': dict(depth=18, base_channels=8),
    'ResNetV1d': dict(depth=50, base_channels=8, stem_channels=16),
    'ResNeXt': dict(depth=50, groups=4, base_width=4, base_channels=16),
    'Res2Net': dict(depth=50, scales=4, base_width=8, base_channels=16),
    'ResNeSt': dict(depth=50, base_channels=16, radix=2),
    'RegNet': dict(arch='regnetx_400mf'),
    'DetectoRS_ResNet': dict(depth=50, base_channels=8),
    'HRNet': dict(extra=HR_STAGES),
    'MobileNetV2': dict(widen_factor=0.5),
    'EfficientNet': dict(arch='b0', out_indices=(2, 3, 4)),
    'CSPNeXt': dict(deepen_factor=0.33, widen_factor=0.25),
    'CSPDarknet': dict(deepen_factor=0.33, widen_factor=0.25),
    'Darknet': dict(depth=53),
    'SwinTransformer': SMALL_SWIN,
    'PyramidVisionTransformer': SMALL_PVT,
    'PyramidVisionTransformerV2': SMALL_PVT,
}
WIDTHS = [16, 32, 64]
NECKS = {
    'FPN': dict(in_channels=WIDTHS, out_channels=16, num_outs=4),
    'PAFPN': dict(in_channels=WIDTHS, out_channels=16, num_outs=4),
    'CSPNeXtPAFPN': dict(in_channels=WIDTHS, out_channels=16, num_csp_blocks=1),
    'YOLOXPAFPN': dict(in_channels=WIDTHS, out_channels=16, num_csp_blocks=1),
    'ChannelMapper': dict(in_channels=WIDTHS, out_channels=16, num_outs=4),
}


def build_part(name: str, seed: int = 0, **keys) -> nn.Module:
    """A backbone or neck of mmdet's registry in eval mode; all its parameters and statistics are random."""
    init_default_scope('mmdet')
    torch.manual_seed(seed)
    return randomized(MODELS.build({'type': name, **keys}))


def randomized(module: nn.Module) -> nn.Module:
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            scale = tensor[0].numel() ** -0.5 if tensor.ndim > 1 else 0.3
            is_scale = name.endswith('running_var') or (tensor.ndim == 1 and name.endswith('weight'))
            tensor.copy_(torch.rand_like(tensor) + 0.5 if is_scale else torch.randn_like(tensor) * scale)
    module.eval()  # some of mmdet's return None
    return module.double()


def frames(count: int, seed: int = 0, size: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, size, size, generator=generator, dtype=torch.double)


def features(count: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(count, width, 16 >> level, 16 >> level, generator=generator, dtype=torch.double)
            for level, width in enumerate(WIDTHS)]
