"""The exported graph of a detector with a RoI memory."""

import pytest

from tests.export.conftest import SIZE, frames, make_detector
from tsm_det.export.parity import compare_with_eager

MEMORY = dict(type='MemoryRoIHead', memory=dict(k=6, recent=2, sparse=2, every=2))
# It remembers nothing but the frame itself.
LEAST = dict(type='MemoryRoIHead', memory=dict(k=6, recent=1, sparse=0))


@pytest.mark.parametrize(('proposals', 'head', 'remembered'), [(20, MEMORY, 3), (4, LEAST, 0)])
def test_it_equals_eager_over_a_stream_longer_than_the_memory(tmp_path, proposals, head, remembered):
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package)
    from tsm_det.export.exported_detector import ExportedModel
    from tsm_det.export.onnx import write_onnx

    path = tmp_path / 'model.onnx'
    detector = make_detector(roi_head=head, test_cfg=dict(rpn=dict(max_per_img=proposals)))
    write_onnx(detector, SIZE, path)
    parity = compare_with_eager(detector, path, frames(9))
    assert parity.agrees and parity.detections > 0, parity
    assert ExportedModel(str(path)).runtime.meta['state']['memory'] == [[1, remembered, 6, 17], [1, 1]]
