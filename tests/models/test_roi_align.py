"""Separable RoIAlign equals mmcv's kernel."""

import pytest
import torch
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor
from mmdet.registry import MODELS

from tsm_det.errors import InputError
from tsm_det.models.roi_align import separable

STRIDES, HEIGHT, WIDTH = [4, 8, 16], 96, 128


def extractor(sampling_ratio=0, out_size=7, **keys):
    if keys.get('type') != 'RoIPool':
        keys = dict(type='RoIAlign', sampling_ratio=sampling_ratio) | keys
    return SingleRoIExtractor(dict(output_size=out_size, **keys), 8, STRIDES)


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
    ours = separable(mmdets)
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
        separable(mmdets)(levels(), rois), mmdets(levels(), rois), rtol=0, atol=2e-6)


def test_without_boxes_the_result_is_empty():
    assert separable(extractor())(levels(), torch.zeros(0, 5)).shape == (0, 8, 7, 7)


def test_boxes_stay_float32_with_bfloat16_levels():
    mmdets, rois = extractor(), boxes(200)
    feats = [feat.bfloat16() for feat in levels()]
    expected = mmdets([feat.float() for feat in feats], rois)
    torch.testing.assert_close(separable(mmdets)(feats, rois), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize('keys', [dict(pool_mode='max'), dict(aligned=False), dict(type='RoIPool')])
def test_another_pooling_is_refused(keys):
    with pytest.raises(InputError, match='eager'):
        separable(extractor(**keys))


def test_a_single_level_and_scaled_boxes():
    mmdets = extractor(2)
    torch.testing.assert_close(separable(mmdets)(levels(), boxes(200), roi_scale_factor=1.3),
                               mmdets(levels(), boxes(200), roi_scale_factor=1.3), rtol=0, atol=2e-6)


@pytest.mark.parametrize('sampling_ratio', [0, 2])
def test_gradients_equal_mmcv(sampling_ratio):
    """Boxes that overlap add up; levels without boxes get zeros; gradients of a bfloat16 level are bfloat16."""
    mmdets = extractor(sampling_ratio)
    gradients = []
    for pooling in (mmdets, separable(mmdets)):
        feats = [feat.requires_grad_() for feat in levels()]
        crops = pooling(feats, boxes(200))
        crops.backward(torch.randn(crops.shape, generator=torch.Generator().manual_seed(1)))
        gradients.append([feat.grad for feat in feats])
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)


def test_a_level_without_boxes_gets_a_gradient_of_zeros_in_its_own_type():
    feats = [feat.bfloat16().requires_grad_() for feat in levels()]
    small = torch.tensor([[0, 10.0, 10, 30, 30]])
    separable(extractor())(feats, small).sum().backward()
    assert [feat.grad.dtype for feat in feats] == [torch.bfloat16] * 3
    assert [bool(feat.grad.any()) for feat in feats] == [True, False, False]


def test_gradients_equal_finite_differences():
    pooling = separable(extractor(out_size=2))
    feats = [feat[:, :2].double().requires_grad_() for feat in levels()]
    rois = boxes(12).double()
    assert torch.autograd.gradcheck(lambda *feats: pooling(feats, rois), feats, fast_mode=True)


def test_a_config_switches_it_on_and_off_by_one_key():
    keys = dict(roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0), out_channels=8,
                featmap_strides=STRIDES)
    pair = [MODELS.build(dict(type=name, **keys)) for name in ('SingleRoIExtractor', 'SeparableRoIExtractor')]
    first, second = (pooling(levels(), boxes(50)) for pooling in pair)
    torch.testing.assert_close(first, second, rtol=0, atol=2e-6)
    assert [type(pooling).__name__ for pooling in pair] == ['SingleRoIExtractor', 'SeparableRoIExtractor']
