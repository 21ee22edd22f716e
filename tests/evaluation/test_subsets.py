"""Which frames of a test belong to a subset."""

import numpy as np
import pytest
from mmdet.registry import TRANSFORMS
from mmengine.registry import init_default_scope

from tsm_det.errors import InputError
from tsm_det.evaluation.subsets import subsets_of

BURSTS = dict(type='Bursts', transforms=[dict(type='SensorNoise', sigma=60)], length=3, gap=5, seed=4)
IMAGES = [dict(id=10 * video + frame, video_id=video, frame_id=frame, dark=frame > 6)
          for video in range(1, 6) for frame in range(20)]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def test_frames_are_chosen_by_their_fields():
    marks = subsets_of(IMAGES, {'dark': {'dark': True}, 'late': {'dark': True, 'frame_id': 19}}, None)
    assert [image['frame_id'] > 6 for image in IMAGES] == marks['dark'].tolist()
    assert [image['frame_id'] == 19 for image in IMAGES] == marks['late'].tolist()


def test_frames_of_bursts_are_those_that_the_pipeline_degrades():
    transform, grey = TRANSFORMS.build(BURSTS), np.full((8, 8, 3), 128, np.uint8)
    changed = [(transform({**image, 'img': grey})['img'] != grey).any() for image in IMAGES]
    marks = subsets_of(IMAGES, {}, BURSTS)
    assert marks['burst'].tolist() == changed and marks['between'].tolist() == [not mark for mark in changed]
    assert 0.3 < np.mean(changed) < 0.45


def test_bursts_without_a_seed_are_refused():
    with pytest.raises(InputError, match='seed'):
        subsets_of(IMAGES, {}, {**BURSTS, 'seed': None})
