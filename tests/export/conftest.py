"""A tiny detector and its export."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import Compose

from tests.tiny import read_config, tiny_detector
from tsm_det import OnlineDetector
from tsm_det.streams.frame_preparation import image_pipeline

# Resized to 128x120 and padded to 128x128, so that boxes are scaled and padding matters.
SIZE = (64, 60)


def make_detector(**changes):
    """An OnlineDetector of reproducible random weights; ``changes`` apply to its model config."""
    config = read_config('tsm_faster_rcnn_r18_synthvid')
    model = tiny_detector(**changes)
    model.dataset_meta = {'classes': ('a', 'b', 'c', 'd')}
    return OnlineDetector(model, Compose(image_pipeline(config.test_dataloader.dataset.pipeline)), capacity=4)


def frames(n, seed=0, size=SIZE):
    """Coarse noise, ``n`` frames ``(H, W, 3)``."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, -(-size[0] // 8), -(-size[1] // 8), 3), dtype=np.uint8)
    return list(coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :size[0], :size[1]])


@pytest.fixture
def detector():
    return make_detector()


@pytest.fixture(scope='session')
def exported(tmp_path_factory):
    """Paths of the exported ``make_detector()`` for frames of SIZE, and of its ``runtime``."""
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package)
    from tsm_det.export.onnx import write_onnx

    path = tmp_path_factory.mktemp('exported') / 'model.onnx'
    return SimpleNamespace(path=path, runtime=write_onnx(make_detector(), SIZE, path))
