"""Live frames are prepared as test frames are, except for what makes test frames bad on purpose."""

import numpy as np
import pytest
from mmdet.registry import TRANSFORMS
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from tests.test_configs import CONFIGS
from tsm_det.config import config_path, load_config
from tsm_det.datasets.degrade import Degradation
from tsm_det.errors import InputError
from tsm_det.streams.frame_preparation import image_pipeline, prepare_image

DEGRADED = [name for name in CONFIGS if 'degraded' in name or 'bursts' in name]


def steps(name):
    pipeline = load_config(config_path(name), work_dir='work').test_dataloader.dataset.pipeline
    init_default_scope('mmdet')
    return pipeline


def is_degradation(step):
    return issubclass(TRANSFORMS.get(step['type']), Degradation)


@pytest.mark.parametrize('name', DEGRADED)
def test_a_detector_of_degraded_test_video_sees_live_frames_as_they_are(name):
    assert any(is_degradation(step) for step in steps(name)[0]['transforms'])
    degraded, plain = (image_pipeline(steps(n)) for n in (name, 'tsm_faster_rcnn_mobilenetv2_thermal'))
    image = np.random.default_rng(0).integers(0, 256, (256, 320, 3), np.uint8)
    for frame_id in range(9):
        shown, expected = (prepare_image(Compose(pipeline), image, 1, frame_id)['inputs']
                           for pipeline in (degraded, plain))
        assert (shown == expected).all()


def test_every_degradation_is_left_out_even_before_the_loader():
    pipeline = steps('tsm_faster_rcnn_mobilenetv2_thermal')
    expected = image_pipeline(pipeline)
    names = [name for name, kind in TRANSFORMS.module_dict.items() if issubclass(kind, Degradation)]
    assert len(names) == 8
    for place in (0, 2, len(pipeline[0]['transforms'])):
        for name in names:
            changed = [dict(pipeline[0], transforms=list(pipeline[0]['transforms'])), *pipeline[1:]]
            changed[0]['transforms'].insert(place, {'type': name})
            assert image_pipeline(changed) == expected
            assert changed[0]['transforms'][place] == {'type': name}  # the config stays as it is


@pytest.mark.parametrize('transforms', [[], [{'type': 'Resize'}], [{'type': 'Bursts'}]])
def test_a_pipeline_without_a_loader_is_an_error(transforms):
    with pytest.raises(InputError, match='loader'):
        image_pipeline([{'type': 'TransformBroadcaster', 'transforms': transforms}])
    with pytest.raises(InputError, match='loader'):
        image_pipeline([{'type': 'PackTrackInputs'}])
