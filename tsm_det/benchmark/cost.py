"""Count an arm's parameters and operations, and measure its memory in a process of its own."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tsm_det.benchmark.arms import ArmPlan, with_mmdets_roi_align
from tsm_det.errors import InputError


def count_operations(plan: ArmPlan, image: np.ndarray) -> dict[str, int]:
    """Count ``parameters``, and ``flops`` of one frame with torch's counter in eager mode.

    It counts convolutions and matrix products, a multiply-add as two, but not normalisation, activations, RoIAlign and
    NMS. The shift has no operations.
    """
    config = with_mmdets_roi_align(plan.config)  # the separable form consists of matrix products
    arm = plan._replace(config=config, engine=plan.engine and 'eager').build()
    # The counter has no formula for the CPU's fused attention.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        arm([image])
    return {'parameters': sum(parameter.numel() for parameter in arm.model.parameters()),
            'flops': counter.get_total_flops()}


def peak_memory(plan: ArmPlan, images: Sequence[np.ndarray]) -> dict[str, int | None]:
    """Measure the peak memory of a new process that builds the arm and calls it a few times on ``images``.

    Returns bytes, None where unknown: ``peak_bytes`` resident; ``before_bytes`` resident before the arm was built, with
    Python and its libraries loaded; ``cuda_peak_bytes`` allocated on the device. Raises InputError when that process
    fails.
    """
    request = pickle.dumps((plan, list(images), torch.get_num_threads()))
    child = subprocess.run([sys.executable, '-W', 'ignore', '-m', __name__], input=request, capture_output=True)
    if child.returncode:
        lines = child.stderr.decode(errors='replace').strip().splitlines() or ['no message']
        _, is_bad_input, sentence = lines[-1].partition(f'{InputError.__module__}.{InputError.__name__}: ')
        raise InputError(sentence if is_bad_input else
                         f'the process that measures the memory of {plan.name} ended with status {child.returncode} '
                         f'({lines[-1]}): free some memory, or reduce the work per call')
    return json.loads(child.stdout.splitlines()[-1])


def _measure_memory(plan: ArmPlan, images: Sequence[np.ndarray], threads: int) -> dict[str, int | None]:
    torch.set_num_threads(threads)
    before = _resident('VmRSS')
    arm = plan.build()
    for _ in range(3):  # from the second call on, a state goes in as well as out
        arm(images)
    cuda = torch.cuda.max_memory_allocated(plan.device) if plan.device.startswith('cuda') else None
    return {'peak_bytes': _resident('VmHWM'), 'before_bytes': before, 'cuda_peak_bytes': cuda}


def _resident(field: str) -> int | None:
    # The peak of getrusage, which more systems have, is inherited from the parent process.
    status = Path('/proc/self/status')
    match = re.search(rf'^{field}:\s*(\d+) kB', status.read_text(), re.MULTILINE) if status.exists() else None
    return match and 1024 * int(match[1])


if __name__ == '__main__':
    figures = _measure_memory(*pickle.load(sys.stdin.buffer))
    sys.stdout.write(f'\n{json.dumps(figures)}\n')
