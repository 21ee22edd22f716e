"""The two operators in ONNX Runtime against mmcv's kernels."""

import numpy as np
import pytest
import torch
from torch import nn

from tsm_det.graphs.kernels import nms, onnx_translations, roi_align

pytest.importorskip('onnx')
pytest.importorskip('onnxscript')
onnxruntime = pytest.importorskip('onnxruntime')
pytestmark = pytest.mark.slow


class Crops(nn.Module):
    """Kept boxes and their crops from a level of stride 4."""

    def __init__(self, sampling_ratio):
        super().__init__()
        self.sampling_ratio = sampling_ratio

    def forward(self, boxes, scores, level):
        kept = nms(boxes, scores, 0.5, 0.3, 20)
        return kept, roi_align(level, boxes[kept], [7, 5], 0.25, self.sampling_ratio)


@pytest.mark.parametrize('sampling_ratio', [0, 2])
def test_onnx_runtime_equals_mmcv(sampling_ratio, tmp_path):
    draw = torch.Generator().manual_seed(0)
    corners = torch.rand(80, 2, generator=draw) * 50 - 5  # some partly or fully outside
    boxes = torch.cat([corners, corners + torch.rand(80, 2, generator=draw) * 40], dim=1)
    level = torch.randn(1, 3, 12, 16, generator=draw)
    scores = torch.randperm(80, generator=draw) / 80  # no ties, whose order mmcv leaves open
    module = Crops(sampling_ratio).eval()
    torch.onnx.export(module, (boxes, scores, level), dynamo=True, opset_version=18, verbose=False,
                      custom_translation_table=onnx_translations()).save(tmp_path / 'model.onnx')
    session = onnxruntime.InferenceSession(str(tmp_path / 'model.onnx'))
    for given in (scores, torch.where(scores > 0.9, scores, 0), torch.zeros(80)):
        kept, crops = session.run(None, {'boxes': boxes.numpy(), 'scores': given.numpy(), 'level': level.numpy()})
        expected = module(boxes, given, level)
        np.testing.assert_array_equal(kept, expected[0])
        np.testing.assert_allclose(crops, expected[1], atol=1e-5)
    assert crops.shape == (0, 3, 7, 5)
