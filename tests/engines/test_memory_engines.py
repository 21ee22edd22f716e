"""The engines run a detector with a RoI memory, whose past stays in float32."""

import torch

from tests.engines.conftest import assert_same_detections, stream
from tsm_det.engines import with_engine

MEMORY = dict(type='MemoryRoIHead', memory=dict(k=6, recent=2, sparse=2, every=2))


def test_a_stream_longer_than_the_memory_equals_eager(make_model):
    model = make_model(roi_head=MEMORY)
    expected, outputs = stream(model, frames=8), stream(with_engine(model, 'fast'), frames=8)
    assert_same_detections(outputs, expected, px=1e-3, score=1e-4)
    torch.testing.assert_close(outputs[-1][1].memory, expected[-1][1].memory, rtol=1e-3, atol=1e-3)


def test_bfloat16_stays_near_and_its_memory_is_float32(make_model):
    model = make_model(roi_head=MEMORY)
    (_, expected), (_, past) = (stream(net, frames=8)[-1] for net in (model, with_engine(model, 'fast-bf16')))
    assert {tensor.dtype for tensor in past.memory} == {torch.float32}
    assert torch.equal(past.memory[1], expected.memory[1])
    assert all(part.isfinite().all() for part in past.memory)
