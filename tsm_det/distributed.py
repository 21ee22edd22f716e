"""Join the processes of a distributed run, with or without CUDA."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.config import Config
from torch import distributed

from tsm_det.errors import InputError

# Per launcher: the environment variable of its processes, and the program that starts them.
_STARTERS = {'pytorch': ('RANK', 'torchrun'), 'slurm': ('SLURM_PROCID', 'srun'),
             'mpi': ('OMPI_COMM_WORLD_RANK', 'mpirun')}


def is_first_process(config: Config) -> bool:
    """Whether this is the only process of a run or its launcher's first, also before the processes have joined."""
    variable, _ = _STARTERS.get(config.get('launcher', 'none'), ('', ''))
    return os.environ.get(variable, '0') == '0'


@contextmanager
def process_group(config: Config) -> Iterator[None]:
    """Context manager: joins the processes of a launcher by gloo where there is no CUDA, and leaves the group on exit.

    With CUDA mmengine's Runner joins them by NCCL.

    Args:
        config: ``launcher`` is read; ``model_wrapper_cfg`` is set for processes without CUDA.

    Raises:
        InputError: the launcher did not start this process, or needs CUDA.
    """
    launcher = config.get('launcher', 'none')
    variable, starter = _STARTERS.get(launcher, ('RANK', launcher))
    if launcher != 'none' and variable not in os.environ:
        raise InputError(f'--launcher {launcher} was given but {starter} did not start this process: use '
                         'tools/dist_train.sh, tools/dist_test.sh or tools/slurm_train.sh, or leave --launcher out')
    if launcher != 'none' and not torch.cuda.is_available():
        if launcher != 'pytorch':  # others have no rendezvous address: mmengine finds one only for NCCL
            raise InputError(f'--launcher {launcher} needs CUDA and this machine has none: start the processes with '
                             'tools/dist_train.sh or tools/dist_test.sh')
        distributed.init_process_group('gloo')
        config.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False,
            find_unused_parameters=config.get('find_unused_parameters', False))
    try:
        yield
        if distributed.is_initialized():
            distributed.barrier()  # gloo may abort a process whose peers left first
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
