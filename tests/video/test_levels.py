"""16-bit images become 8-bit ones by a range that the user gives, or say what they lose."""

import logging

import cv2
import numpy as np
import pytest

from tsm_det.errors import InputError
from tsm_det.video.levels import check_range, read_image, to_levels, warn_of_lost_levels

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
