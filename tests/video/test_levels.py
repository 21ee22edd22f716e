"""16-bit images become 8-bit ones by a range that the user gives, or say what they lose."""

import logging
import pickle

import av
import cv2
import numpy as np
import pytest

from tsm_det.datasets.load_frame import LoadFrame
from tsm_det.errors import InputError
from tsm_det.video.levels import check_range, read_image, to_levels, warn_of_lost_levels
from tsm_det.video.sources import in_levels, open_source
from tsm_det.video.video_file import VideoFile

COUNTS = np.random.default_rng(0).integers(27_000, 31_000, (20, 30)).astype(np.uint16)


@pytest.fixture
def counts(tmp_path):
    cv2.imwrite(str(tmp_path / 'counts.png'), COUNTS)
    return tmp_path / 'counts.png'


def expected(value, low, high):
    """One value at a time, in Python's numbers."""
    return min(255, max(0, int(255 * (value - low) / (high - low) + 0.5)))


@pytest.mark.parametrize(('low', 'high'), [(27_000, 31_000), (28_000.5, 29_000), (0, 65_535), (-5, 40_000)])
def test_values_of_the_range_become_0_to_255(counts, low, high):
    image = read_image(counts, (low, high))
    assert image.shape == (20, 30, 3) and image.dtype == np.uint8
    for y in range(20):
        for x in range(30):
            assert image[y, x].tolist() == [expected(int(COUNTS[y, x]), low, high)] * 3


def test_percentiles_are_those_of_the_image(counts):
    low, high = np.sort(COUNTS.ravel())[[0, -1]]
    np.testing.assert_array_equal(read_image(counts, ('0%', '100%')), read_image(counts, (int(low), int(high))))
    share_of_black = (read_image(counts, ('10%', 40_000)) == 0).mean()
    assert 0.09 < share_of_black < 0.13


def test_an_image_of_one_value_is_black():
    assert not to_levels(np.full((2, 2), 300, np.uint16), ('1%', '99%')).any()


def test_without_a_range_the_upper_bits_stay_and_one_warning_per_folder_counts_the_levels(counts, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            warn_of_lost_levels(counts)
    np.testing.assert_array_equal(read_image(counts), cv2.imread(str(counts)))
    [record] = caplog.records
    left = len(np.unique(COUNTS >> 8))
    assert f'{COUNTS.min()} to {COUNTS.max()}' in record.getMessage() and f'{left} grey levels' in record.getMessage()


def test_an_image_of_8_bits_is_not_changed(tmp_path, caplog):
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    for value_range in (None, (27_000, 31_000)):
        np.testing.assert_array_equal(read_image(tmp_path / 'image.png', value_range), image)
    warn_of_lost_levels(tmp_path / 'image.png')
    assert not caplog.records


@pytest.mark.parametrize('value_range', [
    (1,), (1, 2, 3), (2, 1), (1, 1), ('1%', '1%'), ('99%', '1%'), ('a', 'b'), 5, 'ab', (None, 1), {}])
def test_a_range_that_is_none_is_refused(value_range):
    with pytest.raises(InputError, match='value_range'):
        check_range(value_range)


@pytest.mark.parametrize('value_range', [None, (1, 2), ['0.5%', '99.5%'], (-3.5, 2)])
def test_a_range_is_accepted(value_range):
    check_range(value_range)


VIDEOS = {'ffv1 in mkv': ('a.mkv', 'ffv1', 'gray16le'), 'png in mov': ('a.mov', 'png', 'gray16be'),
          'colour ffv1 in mkv': ('a.mkv', 'ffv1', 'gbrp16le'), 'colour png in mov': ('a.mov', 'png', 'rgb48be')}
FRAMES = [COUNTS + np.uint16(10 * k) for k in range(4)]


@pytest.fixture(params=VIDEOS.values(), ids=VIDEOS)
def deep_video(request, tmp_path):
    name, codec, pix_fmt = request.param
    with av.open(str(tmp_path / name), 'w') as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *COUNTS.shape, pix_fmt
        for k, values in enumerate(FRAMES):
            is_gray = 'gray' in pix_fmt
            frame = av.VideoFrame.from_ndarray(values if is_gray else cv2.merge([values, values + 1, values + 2]),
                                               format='gray16le' if is_gray else 'rgb48le')
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(tmp_path / name), ([0, 0, 0] if is_gray else [2, 1, 0])


@pytest.mark.parametrize('value_range', [(27_000, 31_000), ('1%', '99%')])
def test_frames_of_a_video_are_read_by_the_range_in_training_and_live(deep_video, value_range):
    path, more = deep_video
    load = LoadFrame(value_range=value_range)
    source = in_levels(open_source(path), value_range)
    live = [frame.image for frame in source.frames()]
    for k in (3, 0, 2, 1):
        values = cv2.merge([FRAMES[k] + np.uint16(step) for step in more])  # BGR
        frame = load({'img_path': path, 'frame_in_file': k})['img']
        np.testing.assert_array_equal(frame, to_levels(values, value_range))
        np.testing.assert_array_equal(frame, live[k])
    copy = pickle.loads(pickle.dumps(source.images))
    np.testing.assert_array_equal(copy.read(1), live[1])


def test_without_a_range_a_video_keeps_its_upper_bits_and_warns_once(deep_video, caplog):
    path, _ = deep_video
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            images = list(VideoFile(path))
    [record] = caplog.records
    assert path in record.getMessage() and f'{len(np.unique(COUNTS >> 8))} grey levels' in record.getMessage()
    assert np.abs(images[0].astype(int) - (COUNTS >> 8)[..., None]).max() <= 2


def test_a_video_of_8_or_10_bit_colours_is_not_changed(video_file, caplog):
    for path in (video_file(n=2), video_file('b.mkv', n=2, codec='ffv1', pix_fmt='yuv420p10le')):
        np.testing.assert_array_equal(VideoFile(path, value_range=(3, 5)).read(1), VideoFile(path).read(1))
    assert not caplog.records


@pytest.mark.parametrize(('pix_fmt', 'bits'), [('gray10le', 10), ('gray12le', 12), ('gbrp12le', 12), ('gbrp14le', 14)])
def test_video_of_10_to_14_bits_is_read_by_its_own_values(tmp_path, caplog, pix_fmt, bits):
    values, path = (COUNTS >> (16 - bits)).astype(np.uint16), str(tmp_path / 'a.mkv')
    is_gray = 'gray' in pix_fmt
    with av.open(path, 'w') as container:
        stream = container.add_stream('ffv1', rate=25)
        stream.height, stream.width, stream.pix_fmt = *values.shape, pix_fmt
        frame = av.VideoFrame.from_ndarray(values if is_gray else cv2.merge([values] * 3), pix_fmt)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    value_range = (int(values.min()), int(values.max()))
    load = LoadFrame(value_range=value_range)
    np.testing.assert_array_equal(load({'img_path': path, 'frame_in_file': 0})['img'],
                                  to_levels(cv2.merge([values] * 3), value_range))
    with caplog.at_level(logging.WARNING):
        next(iter(VideoFile(path)))
    assert f'{len(np.unique(values >> (bits - 8)))} grey levels' in caplog.records[-1].getMessage()
