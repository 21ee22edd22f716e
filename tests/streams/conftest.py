"""A tiny detector for streams."""

import pytest
from mmengine.dataset import Compose

from tests.tiny import read_config, tiny_detector
from tsm_det import OnlineDetector
from tsm_det.streams.frame_preparation import image_pipeline


@pytest.fixture
def make_detector():
    """Makes an OnlineDetector for frames of 128 px; another seed gives other weights."""
    def make_detector(seed=0, capacity=4, changes=(), **keys):
        config = read_config('tsm_faster_rcnn_r18_synthvid')
        model = tiny_detector(seed, **dict(changes))
        model.dataset_meta = {'classes': ('a', 'b', 'c', 'd')}
        pipeline = Compose(image_pipeline(config.test_dataloader.dataset.pipeline))
        return OnlineDetector(model, pipeline, capacity, **keys)
    return make_detector


@pytest.fixture
def detector(make_detector):
    return make_detector(max_gap=2)
