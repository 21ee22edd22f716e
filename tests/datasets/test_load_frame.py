"""Loading frames out of image files and video files."""

import copy
import pickle
import random

import cv2
import numpy as np
import pytest
from mmdet.registry import TRANSFORMS

from tests.tiny import init_default_scope
from tsm_det.datasets.load_frame import LoadFrame
from tsm_det.errors import InputError


@pytest.fixture
def videos(video_file):
    return [str(video_file(name, n=30, g='9')) for name in ('first.mp4', 'second.mkv')]


def number_loaded(load, video_number, path, k):
    return video_number(load({'img_path': path, 'frame_in_file': k})['img'])


def test_frames_of_two_videos_come_as_asked_in_any_order(videos, video_number):
    asked = [(path, k) for path in videos for k in range(30)]
    random.Random(0).shuffle(asked)
    load = LoadFrame()
    assert [number_loaded(load, video_number, *frame) for frame in asked] == [k for _, k in asked]


def test_a_frame_has_the_keys_that_an_image_has(videos, tmp_path):
    image = str(tmp_path / 'image.png')
    cv2.imwrite(image, np.zeros((48, 64, 3), np.uint8))
    loaded = LoadFrame()({'img_path': image, 'frame_in_file': None})
    frame = LoadFrame()({'img_path': videos[0], 'frame_in_file': 3})
    assert frame.keys() == loaded.keys()
    assert frame['img_shape'] == loaded['img_shape'] == frame['ori_shape'] == loaded['ori_shape'] == (48, 64)
    assert frame['img'].dtype == loaded['img'].dtype == np.uint8


def test_an_image_needs_no_frame_number(tmp_path):
    path, image = tmp_path / 'image.png', np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    cv2.imwrite(str(path), image)
    np.testing.assert_array_equal(LoadFrame()({'img_path': str(path)})['img'], image)


def test_frames_turn_into_floats_when_asked(videos):
    assert LoadFrame(to_float32=True)({'img_path': videos[0], 'frame_in_file': 0})['img'].dtype == np.float32


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda load: pickle.loads(pickle.dumps(load))])
def test_a_copy_opens_the_file_anew(videos, video_number, duplicate):
    load = LoadFrame()
    number_loaded(load, video_number, videos[0], 10)
    other = duplicate(load)
    assert other._video is None
    assert number_loaded(other, video_number, videos[0], 11) == number_loaded(load, video_number, videos[0], 11) == 11


def test_it_works_inside_the_broadcaster_of_clips(videos, video_number):
    init_default_scope('mmdet')
    load = TRANSFORMS.build({'type': 'TransformBroadcaster', 'transforms': [{'type': 'LoadFrame'}]})
    clip = load({'img_path': videos[:1] * 3 + videos[1:], 'frame_in_file': [5, 6, 7, 1]})
    assert [video_number(image) for image in clip['img']] == [5, 6, 7, 1]
    assert clip['ori_shape'] == [(48, 64)] * 4


@pytest.mark.parametrize('content', [None, b'', b'no image'])
def test_an_image_that_cannot_be_read_is_refused_with_its_path(tmp_path, content):
    path = tmp_path / 'image.jpg'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r'image\.jpg (is missing|cannot be read as an image)'):
        LoadFrame()({'img_path': str(path)})


def test_a_frame_past_the_end_is_refused_with_the_path(videos):
    with pytest.raises(InputError, match=r'frame 30 of .*first\.mp4'):
        LoadFrame()({'img_path': videos[0], 'frame_in_file': 30})


def test_16_bits_are_read_by_the_range_of_the_data_set(tmp_path):
    counts = np.array([[27_000, 28_000, 29_000]], np.uint16)
    cv2.imwrite(str(tmp_path / 'counts.png'), counts)
    results = LoadFrame(value_range=(27_000, 29_000)).transform({'img_path': str(tmp_path / 'counts.png')})
    assert results['img'][0, :, 0].tolist() == [0, 128, 255]
    assert results['img_shape'] == results['ori_shape'] == (1, 3)
    with pytest.raises(InputError, match='value_range'):
        LoadFrame(value_range=(29_000, 27_000))
    for name, content in (('missing.png', None), ('text.png', b'no image')):
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name):
            LoadFrame(value_range=(27_000, 29_000)).transform({'img_path': str(tmp_path / name)})
