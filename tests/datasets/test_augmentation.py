"""Random parameters are drawn once a clip."""

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from tsm_det import config_path

GEOMETRIC = [
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomFlip', prob=[0.3, 0.3, 0.3], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='RandomResize', scale=(64, 48), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(32, 32)),
    dict(type='RandomAffine'),
    dict(type='RandomChoiceResize', scales=[(32, 24), (64, 48), (96, 72)], keep_ratio=True),
]


def clip_of_one_picture(tmp_path, length=4):
    """A video's info whose frames all show the same picture with the same box."""
    path = str(tmp_path / 'picture.png')
    cv2.imwrite(path, np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    box = dict(bbox=[20, 10, 50, 40], bbox_label=0, ignore_flag=0, instance_id=1)
    return dict(video_id=1, video_length=length, images=[
        dict(img_id=k, img_path=path, frame_id=k, video_id=1, height=48, width=64, frame_in_file=None,
             instances=[dict(box)]) for k in range(length)])


@pytest.mark.parametrize('step', GEOMETRIC, ids=lambda step: step['type'])
@pytest.mark.parametrize('name', ['tsm_faster_rcnn_r50_vid', 'tsm_faster_rcnn_r18_thermal'])
def test_every_geometric_parameter_is_shared_over_the_clip(tmp_path, name, step):
    init_default_scope('mmdet')
    pipeline = Config.fromfile(config_path(name)).train_dataloader.dataset.pipeline
    pipeline[0].num_frames = 4
    pipeline[1].transforms = [*pipeline[1].transforms[:2], step]
    transform, differing = Compose(pipeline), set()
    for seed in range(12):
        np.random.seed(seed)
        clip = transform(clip_of_one_picture(tmp_path))
        frames, samples = clip['inputs'], clip['data_samples']
        assert all((frame == frames[0]).all() for frame in frames)
        assert all((sample.gt_instances.bboxes == samples[0].gt_instances.bboxes).all()
                   for sample in samples)
        differing.add(frames.numpy().tobytes())
    assert len(differing) > 1  # the parameter is random, else the test could not fail
