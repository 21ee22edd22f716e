"""The program of docs/results/degradations.md reads the gates that the memory uses."""

import sys
from pathlib import Path

import numpy as np
import torch

from tsm_det import OnlineDetector
from tsm_det.models.operators import GatedMemory
from tsm_det.published import published

sys.path.insert(0, str(Path(__file__).parents[2] / 'docs' / 'programs'))
from gate_values import watched


def test_the_gates_say_how_much_of_a_frame_went_into_the_memory():
    detector = OnlineDetector.from_config(*published('synthvid-gate'))
    gates, changes = watched(detector), []
    sites = [module for module in detector.model.modules() if isinstance(module, GatedMemory)]
    for site in sites:
        site.register_forward_hook(lambda _, inputs, outputs: changes.append((inputs[0], inputs[2], outputs[1])))
    generator = np.random.default_rng(0)
    for scale in (1, 1, 20, 255):
        gates.clear()
        changes.clear()
        detector((generator.random((128, 128, 3)) * scale).astype(np.uint8))
    assert len(gates) == len(changes) == len(sites) > 1
    for gate, (frame, past, present) in zip(gates, changes, strict=True):
        torch.testing.assert_close(present[:, :-1], past[:, :-1].lerp(frame, gate))
    assert np.ptp(gates) > 0.01
