"""Tiny arms, and the report of one benchmark run."""

import itertools
import time

import numpy as np
import pytest

from tests.tiny import SIZE, TINY, tiny_model_config
from tsm_det import config_path
from tsm_det.benchmark import benchmark as module
from tsm_det.benchmark.arms import ArmPlan
from tsm_det.benchmark.workload import BenchmarkOptions
from tsm_det.config import load_config

MEMORY = {'peak_bytes': 3_000_000, 'before_bytes': 2_000_000, 'cuda_peak_bytes': None}


def tiny_config(**changes):
    config = load_config(config_path('tsm_faster_rcnn_r18_synthvid'))
    config.model = tiny_model_config(**changes)
    for step in config.test_dataloader.dataset.pipeline[0].transforms:
        if step.type == 'Resize':
            step.scale = (SIZE, SIZE)
    return config


def tiny_2d_config():
    return tiny_config(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))


@pytest.fixture
def plans():
    """The detector, its 2D baseline and mmdet's own detector, by name; two frames per call."""
    return {'tsm': ArmPlan('tsm', tiny_config(), streams=2), '2d': ArmPlan('2d', tiny_2d_config(), streams=2),
            'mmdet': ArmPlan('mmdet', tiny_2d_config(), engine=None, streams=2)}


@pytest.fixture
def arms(plans):
    return {name: plan.build() for name, plan in plans.items()}


@pytest.fixture
def images():
    """Five frames of 48x64 px."""
    return list(np.random.default_rng(0).integers(0, 256, (5, 48, SIZE, 3), dtype=np.uint8))


@pytest.fixture
def ticking(monkeypatch):
    """Clocks that advance by 1 s (wall) and 0.5 s (CPU) at each reading."""
    wall, cpu = itertools.count(), itertools.count(step=0.5)
    monkeypatch.setattr(time, 'perf_counter', lambda: float(next(wall)))
    monkeypatch.setattr(time, 'process_time', lambda: next(cpu))


@pytest.fixture(scope='session')
def tiny_options():
    """Make the options of a benchmark of a tiny network; keywords override them."""
    def tiny_options(**more):
        return BenchmarkOptions(**{
            'config': config_path('tsm_faster_rcnn_r18_synthvid'), 'baseline': config_path('faster_rcnn_r18_synthvid'),
            'cfg_options': dict(_parsed(option) for option in TINY.split()), 'size': (SIZE, SIZE), 'frames': 3,
            'warmup': 1, 'proposals': 20, 'detections': 10, **more})
    return tiny_options


@pytest.fixture(scope='session')
def report(tiny_options):
    """Report of a benchmark with every part; only the memory is made up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, 'peak_memory', lambda plan, images: MEMORY)
        return module.benchmark(
            tiny_options(vs_mmdet=True, streams=2, train=1, clip_length=2), 'python tools/benchmark.py ...')


def _parsed(option):
    key, values = option.split('=')
    numbers = [int(value) for value in values.split(',')]
    return key, numbers[0] if len(numbers) == 1 else numbers
