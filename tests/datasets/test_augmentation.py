"""Random parameters are drawn once a clip."""

import copy

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from tsm_det import config_path
from tsm_det.datasets.augmentation import RandomBlur
from tsm_det.errors import InputError

STEPS = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomFlip', prob=[0.3, 0.3, 0.3], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='RandomResize', scale=(64, 48), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(32, 32)),
    dict(type='TargetCrop', size=(32, 40)),
    dict(type='RandomAffine'),
    dict(type='RandomChoiceResize', scales=[(32, 24), (64, 48), (96, 72)], keep_ratio=True),
    dict(type='RandomCrop', crop_size=(0.6, 0.6), crop_type='relative_range', allow_negative_crop=True),
    dict(type='RandomBlur', prob=0.5),
    dict(type='PhotoMetricDistortion'),
]


def clip_of_one_picture(tmp_path, length=4):
    """A video's info whose frames all show the same picture with the same box."""
    path = str(tmp_path / 'picture.png')
    cv2.imwrite(path, np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    box = dict(bbox=[20, 10, 50, 40], bbox_label=0, ignore_flag=0, instance_id=1)
    return dict(video_id=1, video_length=length, images=[
        dict(img_id=k, img_path=path, frame_id=k, video_id=1, height=48, width=64, frame_in_file=None,
             instances=[dict(box)]) for k in range(length)])


NAMES = ['tsm_faster_rcnn_r50_vid', 'tsm_faster_rcnn_r18_thermal']


def train_pipeline(name):
    init_default_scope('mmdet')
    pipeline = Config.fromfile(config_path(name)).train_dataloader.dataset.pipeline
    pipeline[0].num_frames = 4
    return pipeline


def drawn(pipeline, tmp_path, seeds=12):
    """Clips of one picture, each of another seed."""
    transform, info = Compose(pipeline), clip_of_one_picture(tmp_path)
    for seed in range(seeds):
        np.random.seed(seed)
        yield transform(copy.deepcopy(info))


def is_shared(clip):
    """Whether frames and boxes are those of the first frame; boxes that a crop left out are so everywhere."""
    frames, samples = clip['inputs'], clip['data_samples']
    return all((frame == frames[0]).all() for frame in frames) and all(
        sample.gt_instances.bboxes.shape == samples[0].gt_instances.bboxes.shape
        and (sample.gt_instances.bboxes == samples[0].gt_instances.bboxes).all() for sample in samples)


@pytest.mark.parametrize('step', STEPS, ids=lambda step: step['type'])
@pytest.mark.parametrize('name', NAMES)
def test_every_random_parameter_is_shared_over_the_clip(tmp_path, name, step):
    pipeline = train_pipeline(name)
    pipeline[1].transforms = [*pipeline[1].transforms[:2], step]
    clips = list(drawn(pipeline, tmp_path))
    assert all(map(is_shared, clips))
    # The parameter is random, else the test could not fail.
    assert len({clip['inputs'].numpy().tobytes() for clip in clips}) > 1


@pytest.mark.parametrize('name', NAMES)
def test_augmentation_is_strong_and_shared_over_the_clip(tmp_path, name):
    pipeline = train_pipeline(name)
    assert {step.type for step in pipeline[1].transforms[2:]} > {
        'RandomResize', 'RandomFlip', 'RandomBlur', 'PhotoMetricDistortion'}
    clips = list(drawn(pipeline, tmp_path))
    assert all(map(is_shared, clips))
    assert len({clip['inputs'].numpy().tobytes() for clip in clips}) == len(clips)


@pytest.mark.parametrize('name', NAMES)
def test_a_crop_without_a_box_is_a_clip_all_the_same(tmp_path, name):
    pipeline = train_pipeline(name)
    info = clip_of_one_picture(tmp_path)
    for frame in info['images']:
        frame['instances'][0]['bbox'] = [0, 0, 2, 2]
    boxes = set()
    for seed in range(12):
        np.random.seed(seed)
        boxes.add(len(Compose(pipeline)(copy.deepcopy(info))['data_samples'][0].gt_instances))
    assert boxes == {0, 1}


@pytest.mark.parametrize(('prob', 'blurred'), [(0, False), (1, True)])
def test_blur_keeps_the_brightness_and_takes_the_detail(prob, blurred):
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    result = RandomBlur(prob, (1, 2))({'img': image.copy()})['img']
    assert (result != image).any() == blurred
    assert result.dtype == np.uint8
    assert abs(result.mean() - image.mean()) < 2
    assert (result.std() < image.std() / 2) == blurred


@pytest.mark.parametrize('keys', [dict(prob=1.1), dict(prob=-0.1), dict(sigma=(0, 1)), dict(sigma=(2, 1))])
def test_blur_that_cannot_be_is_refused(keys):
    with pytest.raises(InputError, match='prob.*sigma'):
        RandomBlur(**keys)
