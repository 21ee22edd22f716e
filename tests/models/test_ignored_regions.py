"""Training learns neither background nor objects from ignored regions."""

from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope

from tests.tiny import clip_sample
from tsm_det.config import config_path, load_config
from tsm_det.models.ignored_regions import spare_ignored_regions
from tsm_det.training_hooks import SpareIgnoredRegions

SIZE = 64
EVERYWHERE, LEFT = [[-99., -99., 199., 199.]], [[-99., -99., 32., 199.]]
ELSEWHERE = [[900., 900., 999., 999.]]


def build(config):
    init_default_scope('mmdet')
    torch.manual_seed(0)
    return MODELS.build(load_config(config_path(config)).model).train()


def background_loss(model, regions, boxes=()):
    """Sum of the losses on classes and objects of a clip of two frames."""
    clip = clip_sample(range(2), boxes=torch.tensor(boxes).reshape(-1, 4).float())
    for frame in clip:
        frame.ignored_instances.bboxes = torch.tensor(regions).reshape(-1, 4).float()
    images = torch.randn(1, 2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    losses = model.loss(images, [clip])
    return sum(torch.as_tensor(value).sum().item() for name, value in losses.items() if 'cls' in name)


@pytest.fixture(params=['tsm_faster_rcnn_r18_synthvid', 'tsm_retinanet_r18_synthvid', 'tsm_rtmdet_tiny_synthvid'])
def model(request):
    return build(request.param)


def test_without_a_box_a_region_of_the_whole_frame_leaves_no_loss(model):
    before = background_loss(model, EVERYWHERE)
    assert spare_ignored_regions(model) == []
    assert before > 0
    assert background_loss(model, EVERYWHERE) == 0


def test_the_rest_of_the_frame_is_still_learned(model):
    without = background_loss(model, [])
    spare_ignored_regions(model)
    assert background_loss(model, []) == background_loss(model, ELSEWHERE) == without
    assert 0 < background_loss(model, LEFT) != without  # not less in all: RPN's sampler takes others instead


def test_a_box_in_a_region_is_still_learned(model):
    spare_ignored_regions(model)
    assert background_loss(model, EVERYWHERE, [[8, 8, 40, 40]]) > 0


@pytest.mark.parametrize(('config', 'head'), [('tsm_yolox_s_vid', 'YOLOXHead'), ('tsm_dino_r50_vid', 'DINOHead')])
def test_heads_that_cannot_are_named_where_the_data_has_regions(config, head, monkeypatch):
    said = []
    monkeypatch.setattr('tsm_det.training_hooks.print_log', lambda text, *_, **__: said.append(text))
    model = build(config)
    for num_ignored in (0, 3):
        dataset = SimpleNamespace(num_ignored=num_ignored)
        SpareIgnoredRegions().before_train(
            SimpleNamespace(model=model, train_dataloader=SimpleNamespace(dataset=dataset)))
        assert len(said) == bool(num_ignored)
    assert head in said[0]
