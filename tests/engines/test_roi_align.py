"""Separable RoIAlign equals mmcv's kernel."""

import pytest
import torch
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

from tsm_det.engines.roi_align import SeparableRoIExtractor
from tsm_det.errors import InputError

STRIDES, HEIGHT, WIDTH = [4, 8, 16], 96, 128


def extractor(sampling_ratio=0, out_size=7, **keys):
    return SingleRoIExtractor(
        dict(type='RoIAlign', output_size=out_size, sampling_ratio=sampling_ratio, **keys), 8, STRIDES)


def levels(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, 8, HEIGHT // stride, WIDTH // stride, generator=generator) for stride in STRIDES]


def boxes(n, seed=0):
    """Boxes of all sizes and shapes inside, across and outside the image, some without area."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(n, 2, generator=generator) * torch.tensor([WIDTH, HEIGHT]) * 1.6 - 30
    halves = torch.exp(torch.rand(n, 2, generator=generator) * 5) / 2 - 0.5
    images = torch.randint(0, 2, (n, 1), generator=generator)
    return torch.cat([images, centres - halves, centres + halves], dim=1)


@pytest.mark.parametrize('sampling_ratio', [0, 1, 2, 3])
@pytest.mark.parametrize('out_size', [7, (3, 5)])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_it_equals_mmcv(sampling_ratio, out_size, layout):
    mmdets = extractor(sampling_ratio, out_size)
    ours = SeparableRoIExtractor(mmdets)
    for seed in range(5):
        feats, rois = levels(seed), boxes(200, seed)
        crops = ours([feat.contiguous(memory_format=layout) for feat in feats], rois)
        torch.testing.assert_close(crops, mmdets(feats, rois), rtol=0, atol=2e-6)


def test_boxes_at_the_borders():
    edges = torch.tensor([-4.0, -2, -1, 0, 1, 62, 124, 126, 127, 128, 129, 132, 140])
    rois = torch.tensor([[1, a, b, c, d] for a in edges for c in edges[::2] for b in edges[::3] for d in edges[::4]
                         if a <= c and b <= d])
    mmdets = extractor()
    torch.testing.assert_close(
        SeparableRoIExtractor(mmdets)(levels(), rois), mmdets(levels(), rois), rtol=0, atol=2e-6)


def test_without_boxes_the_result_is_empty():
    assert SeparableRoIExtractor(extractor())(levels(), torch.zeros(0, 5)).shape == (0, 8, 7, 7)


def test_boxes_stay_float32_with_bfloat16_levels():
    mmdets, rois = extractor(), boxes(200)
    feats = [feat.bfloat16() for feat in levels()]
    expected = mmdets([feat.float() for feat in feats], rois)
    torch.testing.assert_close(SeparableRoIExtractor(mmdets)(feats, rois), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize('keys', [dict(pool_mode='max'), dict(aligned=False)])
def test_another_pooling_is_refused(keys):
    with pytest.raises(InputError, match='eager'):
        SeparableRoIExtractor(extractor(**keys))
