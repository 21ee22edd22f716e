"""torchvision's MobileNetV2 under mmdet's names, against the network as torchvision builds it."""

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from torch import nn

from tsm_det.errors import InputError
from tsm_det.models.foreign_weights import convert_weights
from tsm_det.models.mobilenet_weights import mobilenet_weights

# Expansion, channels, blocks, stride: table 2 of the paper.
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def unit(inputs, outputs, size=1, stride=1, groups=1):
    return nn.Sequential(nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(outputs), nn.ReLU6())


class Block(nn.Module):
    def __init__(self, inputs, outputs, expansion, stride, is_flat):
        super().__init__()
        inner = inputs * expansion
        units = [*([unit(inputs, inner)] if expansion > 1 else []), unit(inner, inner, 3, stride, inner)]
        if is_flat:
            units = [layer for one in units for layer in one]
        self.conv = nn.Sequential(*units, nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.is_residual else self.conv(x)


class MobileNetV2(nn.Module):
    """The modules in torchvision's order, which gives its names; flat as in its first releases."""

    def __init__(self, is_flat):
        super().__init__()
        layers, channels = [unit(3, 32, 3, 2)], 32
        for expansion, outputs, number, stride in STAGES:
            for k in range(number):
                layers.append(Block(channels, outputs, expansion, stride if k == 0 else 1, is_flat))
                channels = outputs
        self.features = nn.Sequential(*layers, unit(channels, 1280))
        self.classifier = nn.Sequential(nn.Dropout(), nn.Linear(1280, 1000))


@pytest.fixture(params=['nested', 'flat'])
def network(request):
    torch.manual_seed(0)
    network = MobileNetV2(request.param == 'flat').eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def save(weights, path, prefix='', entry=None):
    weights = {prefix + key: tensor for key, tensor in weights.items()}
    torch.save({entry: weights, 'epoch': 3} if entry else weights, path)


@pytest.mark.parametrize(('entry', 'prefix'), [
    (None, ''), (None, 'module.'), (None, '_orig_mod.'), (None, 'backbone.'), ('state_dict', 'model.'), ('model', ''),
    ('model', 'module.'), ('net', ''), ('model_state_dict', '')])
def test_a_converted_file_gives_the_networks_features(network, entry, prefix, tmp_path):
    save(network.state_dict(), tmp_path / 'mobilenet_v2.pth', prefix, entry)
    left_out = convert_weights(str(tmp_path / 'mobilenet_v2.pth'), tmp_path / 'backbone.pth')
    assert [key.partition('classifier')[2] for key in left_out] == ['.1.weight', '.1.bias']
    init_default_scope('mmdet')
    backbone = MODELS.build(dict(type='TSMMobileNetV2', out_indices=(1, 2, 4, 6, 7), shift_stages=(),
                                 init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'backbone.pth'))))
    weights = torch.load(tmp_path / 'backbone.pth', weights_only=True)['state_dict']
    assert weights.keys() == backbone.state_dict().keys()
    backbone.init_weights()
    backbone.eval()
    images, expected = torch.randn(2, 3, 65, 96), []
    x = images
    for k, layer in enumerate(network.features):
        x = layer(x)
        if k in (3, 6, 13, 17, 18):
            expected.append(x)
    torch.testing.assert_close(list(backbone(images)), expected, rtol=0, atol=0)


def without_norms(weights):
    """As after fusing each norm into the convolution before it: that gets a bias."""
    return {key.replace('.1.bias', '.0.bias'): tensor for key, tensor in weights.items()
            if tensor.ndim > 1 or '.1.bias' in key}


@pytest.mark.parametrize(('change', 'fact'), [
    (lambda weights: {key: weights[key] for key in weights if 'features.18' not in key}, 'conv2.conv.weight'),
    (lambda weights: {key: weights[key] for key in weights if 'features.9.' not in key}, 'layer4.2.expand_conv'),
    (lambda weights: {key: weights[key] for key in weights if 'running_var' not in key}, 'conv1.bn.running_var'),
    (without_norms, 'conv1.bn'),
    (lambda weights: {key: torch.quantize_per_tensor(tensor.float(), 0.1, 0, torch.qint8)
                      for key, tensor in weights.items()}, 'quantised'),
    (lambda weights: {f'{name}.{key}': weights[key] for name in ('model', 'ema') for key in weights}, "'ema.'"),
    (lambda weights: {key: tensor.clone().float().fill_(torch.nan) if 'features.5.conv.0' in key else tensor
                      for key, tensor in weights.items()}, 'nan')])
def test_a_network_that_is_not_whole_is_refused(network, change, fact, tmp_path):
    save(change(network.state_dict()), tmp_path / 'part.pth')
    with pytest.raises(InputError, match=rf'part\.pth.*{fact}'):
        convert_weights(str(tmp_path / 'part.pth'), tmp_path / 'backbone.pth')
    assert not (tmp_path / 'backbone.pth').exists()


def test_weights_that_need_no_conversion_are_refused_with_how_to_use_them(network, tmp_path):
    torch.save(mobilenet_weights(network.state_dict())[0], tmp_path / 'mmdet.pth')
    with pytest.raises(InputError, match=r'mmdet\.pth .*init_cfg'):
        convert_weights(str(tmp_path / 'mmdet.pth'), tmp_path / 'backbone.pth')
