"""Mixed precision on a CPU."""

import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from torch import nn

from tsm_det import mixed_precision
from tsm_det.mixed_precision import cpu_optim_wrapper


def test_amp_becomes_autocast_to_bfloat16_and_keeps_the_other_keys(monkeypatch):
    monkeypatch.setattr(mixed_precision, 'has_bfloat16_units', lambda device: True)
    config = ConfigDict(type='AmpOptimWrapper', loss_scale='dynamic', dtype='float16', accumulative_counts=2,
                        optimizer=dict(type='SGD', lr=0.5))
    network = nn.Conv2d(3, 4, 1)
    wrapper = build_optim_wrapper(network, cpu_optim_wrapper(config))
    with wrapper.optim_context(network):
        assert network(torch.zeros(1, 3, 2, 2)).dtype == torch.bfloat16
    before = network.bias.detach().clone()
    for _ in range(2):
        wrapper.update_params(network.bias.sum())
    torch.testing.assert_close(network.bias, before - 0.5)


def test_without_bfloat16_units_training_stays_in_float32(monkeypatch):
    monkeypatch.setattr(mixed_precision, 'has_bfloat16_units', lambda device: False)
    config = ConfigDict(type='AmpOptimWrapper', loss_scale='dynamic', optimizer=dict(type='SGD', lr=0.5))
    network = nn.Conv2d(3, 4, 1)
    with build_optim_wrapper(network, cpu_optim_wrapper(config)).optim_context(network):
        assert network(torch.zeros(1, 3, 2, 2)).dtype == torch.float32


def test_other_optimizer_wrappers_stay():
    config = ConfigDict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.5))
    assert cpu_optim_wrapper(config) is config
