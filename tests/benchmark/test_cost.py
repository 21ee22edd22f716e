"""Parameters, operations and memory."""

import numpy as np
import pytest

from tsm_det.benchmark.cost import count_operations, peak_memory
from tsm_det.errors import InputError


def test_the_shift_adds_no_parameters_and_no_operations(plans, images):
    tsm, two_d, mmdet = (count_operations(plan, images[0]) for plan in plans.values())
    assert tsm == two_d == mmdet


def test_a_multiply_add_counts_as_two(plans, images):
    """Half the proposals take half the products of the box head."""
    plan = plans['2d']
    model, counted = plan.build().model, count_operations(plan, images[0])
    assert counted['parameters'] == sum(parameter.numel() for parameter in model.parameters())
    head = model.roi_head.bbox_head
    weights = sum(layer.weight.numel() for layer in (*head.shared_fcs, head.fc_cls, head.fc_reg))
    plan.config.model.test_cfg.rpn.max_per_img = 10
    assert counted['flops'] - count_operations(plan, images[0])['flops'] == 2 * 10 * weights


def test_attention_is_counted(plans, images):
    """One more remembered frame is read by a key and a value product per token and proposal."""
    plan, counts = plans['2d'], []
    for sparse in (7, 8):
        plan.config.model.roi_head.update(type='MemoryRoIHead', memory=dict(k=16, recent=4, sparse=sparse))
        counts.append(count_operations(plan, images[0])['flops'])
    proposals, width = plan.config.model.test_cfg.rpn.max_per_img, plan.build().model.roi_head.memory.width
    assert counts[1] - counts[0] == pytest.approx(2 * 2 * proposals * 16 * width, rel=0.1)


@pytest.mark.slow
def test_memory_is_that_of_a_separate_process_whose_failure_is_reported(plans, images):
    hoard = np.ones(400_000_000, np.uint8)  # 400 MB of this process, not of the arm
    memory = peak_memory(plans['tsm'], images[:2])
    assert hoard.all()
    assert 0 < memory['before_bytes'] < memory['peak_bytes'] < memory['before_bytes'] + len(hoard)
    assert memory['cuda_peak_bytes'] is None
    with pytest.raises(InputError, match=r'nowhere\.pth') as error:
        peak_memory(plans['tsm']._replace(checkpoint='nowhere.pth'), images[:1])
    assert 'memory' not in str(error.value)
    with pytest.raises(InputError, match=r'tsm .*status 1 .*memory'):
        peak_memory(plans['tsm']._replace(config=None), images[:1])
