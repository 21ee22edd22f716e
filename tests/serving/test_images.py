"""Pictures that strangers send."""

from contextlib import suppress

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.serving.pages import jpeg, jpeg_that_claims
from tsm_det.errors import InputError
from tsm_det.serving.images import decode_jpeg, encode_jpeg

GREY = np.full((40, 60, 3), 128, np.uint8)
MOST = 60 * 40


def test_a_jpeg_of_as_many_pixels_as_are_taken_is_decoded():
    assert decode_jpeg(jpeg(GREY), MOST).shape == (40, 60, 3)


def test_a_picture_goes_to_the_page_and_back():
    assert abs(decode_jpeg(encode_jpeg(GREY), MOST).astype(int) - 128).max() <= 2


def test_a_grey_jpeg_becomes_three_channels():
    assert decode_jpeg(jpeg(GREY[..., 0]), MOST).shape == (40, 60, 3)


@pytest.mark.parametrize(('data', 'message'), [
    (jpeg(GREY), 'has 60 x 40 pixels but at most 100 are taken'),
    (jpeg_that_claims(10000, 8000), 'has 10000 x 8000 pixels'),
    (jpeg_that_claims(60000, 60000), 'has far more pixels'),
    (b'', 'is no JPEG'),
    (b'not a picture', 'is no JPEG'),
    (jpeg(GREY)[:8], 'is no JPEG'),
    (cv2.imencode('.png', GREY)[1].tobytes(), 'is no JPEG'),
    (jpeg(np.zeros((5, 5, 3), np.uint8), cv2.IMWRITE_JPEG_PROGRESSIVE, 1), 'is a progressive JPEG'),
])
def test_a_picture_is_refused_before_anything_is_decoded(monkeypatch, data, message):
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('it was decoded'))
    monkeypatch.setattr(Image.Image, 'load', lambda *_: pytest.fail('it was decoded'))
    with pytest.raises(InputError, match=message):
        decode_jpeg(data, 100)


def test_a_damaged_picture_is_decoded_within_the_limit_or_refused_with_a_sentence():
    whole = jpeg(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    rng = np.random.default_rng(1)
    for _ in range(300):
        data = bytearray(whole[:rng.integers(len(whole) // 10, len(whole))])
        for place in rng.integers(0, min(len(data), 700), 3):  # where the headers are
            data[place] = rng.integers(256)
        with suppress(InputError):
            assert decode_jpeg(bytes(data), MOST).size <= 3 * MOST
