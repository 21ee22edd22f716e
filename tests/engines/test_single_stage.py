"""Engines of single-stage detectors, and the detectors that engines refuse."""

from functools import partial

import pytest
import torch

from tests.models.test_detectors import build
from tests.tiny import frame_sample, random_clip
from tsm_det.engines import with_engine
from tsm_det.errors import InputError
from tsm_det.shift import tensors_of

DENSE = ['RetinaNet', 'FCOS', 'ATSS', 'GFL', 'RTMDet', 'YOLOX']


def heads_and_states(model, frames=3):
    """The outputs of the head, and the states, of a stream of two videos."""
    past, outputs = None, []
    with torch.no_grad():
        for k in range(frames):
            feats, past = model.extract_clip(random_clip(2, 1, k), past)
            outputs.append((model.bbox_head(feats), tensors_of(past)))
    return outputs


@pytest.mark.parametrize('name', DENSE)
def test_the_head_and_the_state_equal_eager(name):
    model = build(name)
    torch.testing.assert_close(heads_and_states(with_engine(model, 'fast')), heads_and_states(model),
                               rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('name', DENSE)
def test_captured_graphs_equal_fast(name, monkeypatch):
    monkeypatch.setattr(torch, 'compile', partial(torch.compile, backend='eager'))
    model = build(name)
    torch.testing.assert_close(heads_and_states(with_engine(model, 'compiled')),
                               heads_and_states(with_engine(model, 'fast')), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('name', DENSE)
@torch.no_grad()
def test_bfloat16_detects_in_float32(name):
    model, past = with_engine(build(name), 'fast-bf16'), None
    for k in range(3):
        [sample], past = model.detect(random_clip(1, 1, k), [frame_sample(k)], past)
        assert sample.pred_instances.bboxes.dtype == torch.float32
        assert len(sample.pred_instances) > 0
    assert {tensor.dtype for tensor in tensors_of(past)} == {torch.bfloat16}


@pytest.mark.parametrize('name', ['CascadeRCNN', 'MaskRCNN', 'DETR'])
def test_other_detectors_are_refused_with_one_sentence(name):
    with pytest.raises(InputError, match=f'TSM{name} .*RetinaHead'):
        with_engine(build(name), 'fast')
