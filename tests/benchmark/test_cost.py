"""Parameters, operations and memory."""

import numpy as np
import pytest

from tsm_det.benchmark.cost import count_operations, peak_memory
from tsm_det.errors import InputError


def test_the_shift_adds_neither_parameters_nor_operations(plans, images):
    tsm, two_d, mmdet = (count_operations(plan, images[0]) for plan in plans.values())
    assert tsm == two_d == mmdet


def test_a_multiply_add_counts_as_two(plans, images):
    """With half the proposals, half the box head's products are left."""
    plan = plans['2d']
    model, counted = plan.build().model, count_operations(plan, images[0])
    assert counted['parameters'] == sum(parameter.numel() for parameter in model.parameters())
    head = model.roi_head.bbox_head
    weights = sum(layer.weight.numel() for layer in (*head.shared_fcs, head.fc_cls, head.fc_reg))
    plan.config.model.test_cfg.rpn.max_per_img = 10
    assert counted['flops'] - count_operations(plan, images[0])['flops'] == 2 * 10 * weights


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(plans, images):
    hoard = np.ones(400_000_000, np.uint8)  # 400 MB of this process are not the arm's
    memory = peak_memory(plans['tsm'], images[:2])
    assert hoard.all()
    assert 0 < memory['before_bytes'] < memory['peak_bytes'] < memory['before_bytes'] + len(hoard)
    assert memory['cuda_peak_bytes'] is None


@pytest.mark.slow
def test_a_process_that_breaks_off_is_one_sentence(plans, images):
    with pytest.raises(InputError, match='memory of tsm ended with status 1'):
        peak_memory(plans['tsm']._replace(checkpoint='nowhere.pth'), images[:1])
