"""Degradations of frames: their size, and that a frame is always degraded alike."""

import hashlib
import json
import subprocess
import sys
from itertools import pairwise

import cv2
import numpy as np
import pytest
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.registry import init_default_scope

from tsm_det.errors import InputError

KINDS = [dict(type='SensorNoise', sigma=30), dict(type='LowLight', gain=0.2), dict(type='Defocus', sigma=2),
         dict(type='MotionBlur', length=9), dict(type='LowBitrate', qp=45)]
NAMES = [kind['type'] for kind in KINDS]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


def build(kind, **keys):
    return TRANSFORMS.build({**kind, **keys})


def image(height=47, width=63, seed=0):
    """Smooth and coloured, so that a codec has something to keep."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def degraded(transform, frame_id=0, video_id=1, of=None):
    of = image() if of is None else of
    return transform({'img': of.copy(), 'video_id': video_id, 'frame_id': frame_id})['img']


@pytest.mark.parametrize('kind', KINDS, ids=NAMES)
def test_a_seed_fixes_what_happens_to_a_frame_in_any_order(kind):
    transform = build(kind, seed=3)
    first = degraded(transform)
    assert (first.dtype, first.shape) == (np.uint8, (47, 63, 3))
    assert not np.array_equal(first, image())
    degraded(transform, 5)
    assert np.array_equal(first, degraded(transform))


def test_another_process_degrades_a_frame_alike():
    code = ('import hashlib; from tests.datasets.test_degrade import *; init_default_scope("mmdet"); '
            'print(hashlib.sha256(b"".join(degraded(build(kind, seed=3)).tobytes() for kind in KINDS)).hexdigest())')
    said = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True, check=True)
    here = b''.join(degraded(build(kind, seed=3)).tobytes() for kind in KINDS)
    assert said.stdout.split()[-1] == hashlib.sha256(here).hexdigest()


@pytest.mark.parametrize('kind', [*KINDS[:2], dict(type='MotionBlur', length=40)], ids=lambda kind: kind['type'])
def test_frames_videos_and_seeds_differ_and_without_a_seed_every_call_does(kind):
    seeded = build(kind, seed=3)
    results = [degraded(seeded), degraded(seeded, 1), degraded(seeded, 0, 2), degraded(build(kind, seed=4))]
    free = build(kind)
    results += [degraded(free), degraded(free)]
    assert len({result.tobytes() for result in results}) == 6


def test_without_a_seed_numpys_generator_decides():
    transform = build(KINDS[0])
    np.random.seed(0)
    first = degraded(transform)
    np.random.seed(0)
    assert np.array_equal(first, degraded(transform))


@pytest.mark.parametrize('sigma', [5, 15, 30])
def test_noise_has_its_standard_deviation_and_no_colour(sigma):
    gray = np.full((200, 200, 3), 128, np.uint8)
    noise = degraded(build(dict(type='SensorNoise', sigma=sigma, seed=0)), of=gray).astype(float) - 128
    assert abs(noise.mean()) < sigma / 20
    assert noise.std() == pytest.approx(sigma, rel=0.03)
    assert (noise[..., 0] == noise[..., 2]).all()


@pytest.mark.parametrize(('level', 'gain'), [(40, 1.0), (200, 0.25), (120, 0.5)])
def test_low_light_has_the_mean_and_the_noise_of_its_photons(level, gain):
    flat = np.full((300, 300, 3), level, np.uint8)
    dark = degraded(build(dict(type='LowLight', gain=gain, shot=1.0, read=2.0, seed=0)), of=flat).astype(float)
    assert dark.mean() == pytest.approx(gain * level, rel=0.02)
    assert dark.std() == pytest.approx((gain * level + 4) ** 0.5, rel=0.05)


@pytest.mark.parametrize('kind', [dict(type='Defocus', sigma=2), dict(type='MotionBlur', length=9)], ids=str)
def test_a_blur_keeps_the_sum_of_a_point_and_has_its_width(kind):
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    spread = degraded(build(kind, seed=0), of=point)[..., 0].astype(float)
    assert spread.sum() == pytest.approx(255, rel=0.2)  # rounding to levels
    rows, columns = np.nonzero(spread)
    assert np.hypot(np.ptp(rows), np.ptp(columns)) == pytest.approx(9, abs=3.5)
    assert degraded(build(kind, seed=0), of=np.full((30, 30, 3), 77, np.uint8)).tolist() == [[[77] * 3] * 30] * 30


@pytest.mark.parametrize('length', [1, 3, 10, 20])
def test_motion_blur_leaves_a_point_in_its_place(length):
    point = np.zeros((41, 41, 3))
    point[20, 20] = 1e4  # rounding matters little
    for seed in range(20):
        blur = build(dict(type='MotionBlur', length=length))
        spread = blur.degrade(point, np.random.default_rng(seed))[..., 0]
        np.testing.assert_allclose([np.sum(spread * axis) / spread.sum() for axis in np.mgrid[:41, :41]], 20, atol=1e-4)


@pytest.mark.parametrize('kind', [*KINDS, dict(type='Bursts', transforms=[KINDS[0]], length=3, gap=3)], ids=str)
def test_ids_that_numpy_counted_are_the_same_ids(kind):
    transform = build(kind, seed=3)
    for video_id in range(4):
        assert np.array_equal(degraded(transform, 2, video_id), degraded(transform, np.int64(2), np.int64(video_id)))
    assert np.array_equal(degraded(transform, 2, 'a'), degraded(transform, 2, np.str_('a')))


def test_levels_may_be_numbers_of_numpy():
    assert degraded(build(dict(type='SensorNoise', sigma=np.float32(9)))).shape == (47, 63, 3)
    assert degraded(build(dict(type='LowBitrate', qp=np.int64(30)))).shape == (47, 63, 3)


def test_a_lower_bitrate_loses_more():
    gray = image()[..., :1].repeat(3, axis=2)
    losses = [np.abs(degraded(build(dict(type='LowBitrate', qp=qp)), of=gray).astype(int) - gray).mean()
              for qp in (0, 30, 51)]
    assert losses == sorted(losses)
    assert losses[0] < 4 < 10 < losses[2]


@pytest.mark.parametrize(('kind', 'fact'), [
    (dict(type='SensorNoise', sigma=-1), '-1'), (dict(type='LowLight', gain=float('nan')), 'nan'),
    (dict(type='LowLight', gain=1.5), '1.5'), (dict(type='Defocus', sigma=0), '0'),
    (dict(type='LowBitrate', qp=52), '52'), (dict(type='Bursts', transforms=[], length=0), '0'),
    (dict(type='Bursts', transforms=[], gap=-1), '-1'), (dict(type='Bursts', transforms=[], length=1.5), '1.5'),
    (dict(type='RandomBursts', bursts=[]), 'empty'), (dict(type='SensorNoise', sigma='30'), "'30'"),
    (dict(type='Defocus', sigma=None), 'None'), (dict(type='LowBitrate', qp='30'), "'30'"),
    (dict(type='LowBitrate', qp=1.5), '1.5')], ids=str)
def test_a_level_that_makes_no_sense_is_refused(kind, fact):
    with pytest.raises(InputError, match=fact):
        build(kind)


@pytest.mark.parametrize('kind', KINDS, ids=str)
@pytest.mark.parametrize(('shape', 'dtype'), [((8, 8), np.uint8), ((8, 8, 1), np.uint8), ((8, 8, 3), np.float32)])
def test_an_image_that_is_not_8_bit_colour_is_refused(kind, shape, dtype):
    with pytest.raises(InputError, match=r'\(H, W, 3\)'):
        build(kind)({'img': np.zeros(shape, dtype), 'video_id': 1, 'frame_id': 0})


@pytest.mark.parametrize('key', ['img_id', 'img_path'])
def test_images_of_a_set_without_videos_have_noise_of_their_own_and_no_bursts(key):
    noise = build(KINDS[0], seed=0)
    one, same, other = (noise({'img': image(), key: name})['img'] for name in ('1.jpg', '1.jpg', '2.jpg'))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    with pytest.raises(InputError, match='frame_id'):
        bursts(2, 2, seed=0)({'img': image(), key: '1.jpg'})


def bursts(length, gap, seed):
    return build(dict(type='Bursts', transforms=[dict(type='Defocus', sigma=2)], length=length, gap=gap, seed=seed))


@pytest.mark.parametrize(('length', 'gap'), [(3, 5), (1, 1), (8, 16), (4, 0)])
def test_bursts_and_gaps_follow_each_other(length, gap):
    transform = bursts(length, gap, 0)
    for video_id in range(4):
        places = [transform.place(video_id, frame_id) for frame_id in range(3 * (length + gap))]
        runs = ''.join('.' if place is None else 'x' for place in places)
        assert runs in (('x' * length + '.' * gap) * 5)
        assert all(after in (before + 1, None, 0) for before, after in pairwise(places)
                   if before is not None)
        for frame_id, place in enumerate(places):
            assert np.array_equal(degraded(transform, frame_id, video_id), image()) == (place is None)
    if gap > 1:
        assert len({str([transform.place(video, k) for k in range(40)]) for video in range(20)}) > 1


def test_a_clip_shares_where_its_bursts_are_and_epochs_do_not():
    pipeline = build(dict(type='TransformBroadcaster', share_random_params=True, transforms=[
        dict(type='Bursts', transforms=[dict(type='Defocus', sigma=2)], length=4, gap=4)]))
    starts = set()
    for _ in range(40):
        clip = pipeline({'img': [image()] * 16, 'video_id': [1] * 16, 'frame_id': list(range(16))})['img']
        runs = ''.join('.' if np.array_equal(frame, image()) else 'x' for frame in clip)
        assert runs in ('xxxx....' * 3)
        starts.add(runs)
    assert len(starts) > 3


@pytest.mark.parametrize(('prob', 'least', 'most'), [(1.0, 200, 200), (0.25, 30, 70)])
def test_a_clip_has_one_of_random_bursts(prob, least, most):
    choices = [dict(transforms=[dict(type='Defocus', sigma=2)], length=2, gap=2),
               dict(transforms=[dict(type='Defocus', sigma=4)], length=3, gap=3)]
    pipeline = build(dict(type='TransformBroadcaster', share_random_params=True, transforms=[
        dict(type='RandomBursts', bursts=choices, prob=prob)]))
    looks = {image().tobytes(): '.', **{degraded(build(dict(type='Defocus', sigma=2 * k))).tobytes(): str(k)
                                        for k in (1, 2)}}
    found = []
    for _ in range(200):
        clip = pipeline({'img': [image()] * 12, 'video_id': [1] * 12, 'frame_id': list(range(12))})['img']
        found.append(''.join(looks[frame.tobytes()] for frame in clip))
    drawn = [runs for runs in found if runs != '.' * 12]
    assert least <= len(drawn) <= most
    assert all(runs in '11..' * 4 or runs in '222...' * 3 for runs in drawn)
    assert len(set(drawn)) == 4 + 6, 'every burst, from every start'


def test_frozen_frames_show_the_frame_before_the_burst():
    transform = build(dict(type='Bursts', transforms=[dict(type='FrozenFrames')], length=3, gap=5, seed=1))
    shown = [transform({'video_id': 1, 'frame_id': k, 'frame_in_file': k})['frame_in_file'] for k in range(24)]
    expected = []
    for k in range(24):
        place = transform.place(1, k)
        expected.append(k if place is None else max(0, k - place - 1))
    assert shown == expected
    assert len(set(shown)) < 24
    with pytest.raises(InputError, match='Bursts'):
        build(dict(type='FrozenFrames'))({'frame_in_file': 3})
    with pytest.raises(InputError, match='a.jpg'):
        [transform({'video_id': 1, 'frame_id': k, 'img_path': 'a.jpg'}) for k in range(8)]


@pytest.mark.parametrize('video_id', [('image', 4), 'east.mp4', None, 7])
def test_stills_and_streams_without_a_number_are_degraded_too(video_id):
    for kind in (KINDS[0], dict(type='Bursts', transforms=[KINDS[0]], length=1, gap=0)):
        transform = build(kind, seed=0)
        assert np.array_equal(degraded(transform, 3, video_id), degraded(transform, 3, video_id))


def test_transforms_inherit_the_seed_of_their_bursts():
    transform = build(dict(type='Bursts', transforms=[dict(type='SensorNoise', sigma=30)], length=1, gap=0, seed=5))
    assert np.array_equal(degraded(transform), degraded(build(KINDS[0], seed=5)))


@pytest.mark.parametrize(('numbers', 'is_refused'), [
    ([(0, 0), (1, 1), (2, 2)], False), ([(0, 40), (1, 41), (5, 45)], False), ([(0, 0), (5, 5), (10, 10)], False),
    ([(0, 0), (1, 5), (2, 10)], True), ([(0, 0), (1, 1), (2, 7)], True)])
@pytest.mark.parametrize('random', [False, True])
def test_frozen_frames_need_frame_ids_that_run_like_the_frames_of_the_file(tmp_path, numbers, is_refused, random):
    images = [dict(id=k, file_name='a.mp4', width=8, height=8, video_id=1, frame_id=frame_id, frame_in_file=in_file)
              for k, (frame_id, in_file) in enumerate(numbers)]
    (tmp_path / 'some.json').write_text(json.dumps(dict(
        videos=[dict(id=1, name='street')], images=images, annotations=[], categories=[dict(id=1, name='cat')])))
    lost = dict(transforms=[dict(type='FrozenFrames')], length=2, gap=2)
    step = dict(type='RandomBursts', bursts=[lost]) if random else dict(type='Bursts', **lost)
    config = dict(type='CocoVIDDataset', ann_file=str(tmp_path / 'some.json'),
                  pipeline=[dict(type='TransformBroadcaster', transforms=[step])])
    if is_refused:
        with pytest.raises(InputError, match='street .*--renumber'):
            DATASETS.build(config)
    else:
        assert len(DATASETS.build(config)) == 1
