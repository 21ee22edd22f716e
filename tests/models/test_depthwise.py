"""Depthwise convolutions in another form: the same network as mmdet's own."""

import copy

import pytest
import torch
from torch import nn

from tests.models.families import BACKBONES, build_part, frames
from tsm_det.models.depthwise import quicken_depthwise


def outputs_and_gradients(network, images):
    images = images.clone().requires_grad_()
    outputs = network(images)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    # Each value has a weight of its own, so that no gradient cancels out.
    sum((output * torch.linspace(1, 2, output.numel(), dtype=output.dtype).view_as(output)).sum()
        for output in outputs).backward()
    return [*outputs, images.grad, *(weight.grad for weight in network.parameters() if weight.grad is not None)]


def check_same(network, images):
    changed = copy.deepcopy(network)
    quicken_depthwise(changed)
    assert list(changed.state_dict()) == list(network.state_dict())
    expected, found = outputs_and_gradients(network, images), outputs_and_gradients(changed, images)
    assert len(found) == len(expected)
    for value, other in zip(found, expected, strict=True):
        torch.testing.assert_close(value, other, rtol=1e-9, atol=1e-9)
    return changed


@pytest.mark.parametrize('name', BACKBONES)
def test_outputs_and_gradients_stay(name):
    changed = check_same(build_part(name, **BACKBONES[name]), frames(2))
    strided = [module for module in changed.modules() if type(module) is nn.Conv2d
               and module.groups == module.in_channels > 1 and module.stride != (1, 1)]
    assert not strided


@pytest.mark.parametrize('size', [(9, 12), (10, 7), (16, 16)])
@pytest.mark.parametrize('keys', [
    dict(kernel_size=3, stride=2, padding=1), dict(kernel_size=5, stride=(3, 2), padding=2),
    dict(kernel_size=3, stride=2), dict(kernel_size=3, stride=2, padding=2, dilation=2),
    dict(kernel_size=2, stride=2, padding=1, bias=False)])
def test_any_strided_convolution(keys, size):
    check_same(nn.Conv2d(6, 12, groups=6, **keys).double(), torch.rand(2, 6, *size, dtype=torch.double))


def test_a_network_without_depthwise_convolutions_is_not_touched():
    network = nn.Conv2d(4, 4, 3, stride=2)
    quicken_depthwise(network)
    assert network.stride == (2, 2) and not network._forward_hooks
