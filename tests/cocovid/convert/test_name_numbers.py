"""Numbers at the end of file names: counted frames, or times."""

import random
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tsm_det.cocovid.convert.name_numbers import number_images, split_number, split_numbers
from tsm_det.errors import InputError
from tsm_det.video.source_names import files_of


@pytest.mark.parametrize(('name', 'parts'), [
    ('000123.jpg', ('', 123)), ('cam1_000123.jpg', ('cam1_', 123)), ('frame7.png', ('frame', 7)), ('photo.jpg', None),
    ('a/b1.c2.jpg', ('b1.c', 2)), ('walk_mp4-0012_jpg.rf.d2c1f0a94e8b.jpg', ('walk_mp4-', 12)), ('1²3².jpg', None),
    ('a1234567890123456789.jpg', None)])
def test_a_name_is_split_at_its_last_number(name, parts):
    assert split_number(name) == parts


def names_of_times(form, number=200, seed=0):
    """Names of images, about 30 per second, in the order of their times."""
    rng, moments = random.Random(seed), [datetime(2024, 1, 1, 11, 59, 58)]
    while len(moments) < number:
        moments.append(moments[-1] + timedelta(microseconds=rng.randint(32_000, 35_000)))
    return [f'{form(moment)}.png' for moment in moments]


TIMES = [
    lambda moment: f'{moment.timestamp():.4f}', lambda moment: str(round(moment.timestamp(), 4)),
    lambda moment: f'frame_{moment.timestamp() % 1000:.2f}', lambda moment: str(round(moment.timestamp() % 1000, 3)),
    lambda moment: f'{moment:%Y-%m-%d_%H-%M-%S.%f}', lambda moment: f'{moment:%Y%m%d_%H_%M_%S}_{moment:%f}',
    lambda moment: f'cam-{moment:%Y-%m-%dT%H:%M:%S.%f}'[:-3], lambda moment: f'{moment:%Y-%m-%d_%H-%M-%S.%f}'[:-4],
    lambda moment: f'{moment:%Y-%m-%d_%H-%M-%S.%f}0', lambda moment: f'01-{moment:%Y%m%d%H%M%S-%f}'[:-4],
    lambda moment: f'{moment:%Y-%m-%d_%H-%M-%S}-{moment:%f}'[:-4], lambda moment: f'{moment.timestamp() % 1000:.12g}']


@pytest.mark.parametrize('form', TIMES)
def test_times_are_one_video_in_their_order(tmp_path, form):
    names = names_of_times(form)
    splits = split_numbers(names)
    assert len({prefix for prefix, _ in splits}) == 1
    numbers = [number for _, number in splits]
    assert numbers == sorted(set(numbers))
    steps = [after - before for before, after in pairwise(numbers)]
    assert all(20_000 <= step <= 50_000 for step in steps)  # microseconds
    for name in random.Random(1).sample(names, len(names)):
        (tmp_path / name).touch()
    assert files_of(str(tmp_path)) == [str(tmp_path / name) for name in names]


def test_dates_of_one_frame_per_second_are_one_video():
    names = [f'2024-01-01_{11 + k // 60:02}-{k % 60:02}-20.png' for k in range(90)]
    splits = split_numbers(names)
    assert [number - splits[0][1] for _, number in splits] == [60_000_000 * k for k in range(90)]


@pytest.mark.parametrize('counted', [
    [(f'cam{cam}.', f'{frame:04}') for cam in (1, 2, 3) for frame in range(1, 30)],
    [(f'shot_{cam}.', f'{frame}') for cam in (10, 11) for frame in range(1, 120)],
    [('cam_1.', f'{frame}') for frame in range(5, 125, 10)], [('1.', '9'), ('1.', '10'), ('1.', '11')],
    [('20240101_', f'{frame:06}') for frame in range(100, 180)],
    [('2024-01-01_12-00-20_', f'{frame:04}') for frame in range(40)],
    [(f'2024-01-01_12-{minute}-20_', f'{frame:03}') for minute in (10, 30) for frame in range(40)],
    [('cam1.', f'{frame}') for frame in [*range(1, 31), *range(60, 120)]],
    [('cam1.', f'{frame}') for frame in sorted(random.Random(0).sample(range(1, 1000), 100))],
    [('sh010_1920x1080.', f'{frame}') for frame in [*range(7, 31), *range(555, 620)]],
    [('cam1.', f'{frame:04}') for frame in range(9990, 10020)],
    [(f'cam{cam}.', '0001') for cam in (1, 2)], [('cam1.', '0001'), ('cam1.', '0002'), ('cam2.', '0001')],
    [('cam1.', '0002'), *((f'cam{cam}.', '0001') for cam in range(2, 6)), ('cam6.', '0003'), ('cam6.', '0004')],
    [('cam_218901234.', f'{frame}') for frame in range(1, 31)],
    [(f'218901234{cam}.', f'{frame:04}') for cam in (1, 2) for frame in range(1, 20)],
    [('20240101120000.', f'{frame}') for frame in range(1, 31)],
    [('20240115_03_02_', f'{frame}') for frame in range(55, 65)]])
def test_counted_frames_stay_those_of_their_videos(tmp_path, counted):
    names = [f'{prefix}{digits}.jpg' for prefix, digits in counted]
    assert split_numbers(names) == [(prefix, int(digits)) for prefix, digits in counted]
    for name in names:
        (tmp_path / name).touch()
    assert files_of(str(tmp_path)) == [str(tmp_path / name) for name in names]


def test_one_frame_per_whole_number_is_refused():
    with pytest.raises(InputError, match=r'frame_0\.5\.png and frame_2\.5\.png'):
        split_numbers([f'frame_{k}.5.png' for k in range(0, 10, 2)])


@pytest.mark.parametrize('names', [
    ['0', '0.04', '0.5', '0.96', '1', '1.04', '1.5', '2'], ['frame_0.5', 'frame_1', 'frame_1.5', 'frame_2'],
    ['1305031102', '1305031102.1', '1305031103'], ['2024-01-01_11-59-58.500', '2024-01-01_11-59-59.750',
                                                    '2024-01-01_12-00-01.000']])
def test_times_may_be_whole_numbers_or_far_apart(tmp_path, names):
    numbers = [number for _, number in split_numbers([f'{name}.png' for name in names])]
    assert numbers == sorted(set(numbers)) and numbers[-1] - numbers[0] >= 10**6
    for name in reversed(names):
        (tmp_path / f'{name}.png').touch()
    assert files_of(str(tmp_path)) == [str(tmp_path / f'{name}.png') for name in names]


def test_one_frame_per_whole_number_is_times_where_all_are_one_video():
    images = [Path(f'frame_{k}.5.png') for k in range(3)]
    assert list(number_images(images)) == [500_000, 1_500_000, 2_500_000]


def test_folders_are_read_apart():
    splits = split_numbers([f'{folder}/0.{k:02}.png' for folder in 'ab' for k in range(4)])
    assert splits == [('0.', k) for _ in 'ab' for k in range(4)]
