"""Mixed precision: training on a CPU, and which devices are fast in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

# Keys of AmpOptimWrapper that bfloat16 on a CPU has no use for: its range is that of float32.
_CUDA_KEYS = ('type', 'loss_scale', 'dtype', 'use_fsdp')


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """mmengine's ``AmpOptimWrapper`` for a CPU, which that class refuses: autocast to bfloat16, no loss scaling."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast the forward pass."""
        with super().optim_context(model), torch.autocast('cpu', torch.bfloat16):
            yield


def cpu_optim_wrapper(config: dict) -> dict:
    """Return the config of an optimizer wrapper for a CPU.

    Mixed precision becomes :class:`CPUAmpOptimWrapper`, or plain float32 where bfloat16 would be slower.
    """
    if config.get('type') != 'AmpOptimWrapper':
        return config
    config = {key: value for key, value in config.items() if key not in _CUDA_KEYS}
    if not has_bfloat16_units(torch.device('cpu')):
        print_log('this CPU has no bfloat16 units: training in float32 instead of mixed precision', 'current')
        return config
    print_log('mixed precision on the CPU: backbone, neck and RPN train in bfloat16', 'current')
    return {'type': 'CPUAmpOptimWrapper', **config}


def has_bfloat16_units(device: torch.device) -> bool:
    """Tell whether a device computes in bfloat16 as fast as, or faster than, in float32."""
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()
