"""Image files with several pictures are refused, not read in part."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from tsm_det.cocovid.convert.frame_files import image_size
from tsm_det.datasets.load_frame import LoadFrame
from tsm_det.errors import InputError
from tsm_det.video.picture_count import check_single
from tsm_det.video.sources import open_source

PICTURES = [np.random.default_rng(k).integers(0, 256, (20, 30, 3), np.uint8) for k in range(3)]
SUFFIXES = ['.png', '.webp', '.tif']


def write(path, count):
    first, *others = (Image.fromarray(picture) for picture in PICTURES[:count])
    first.save(path, save_all=count > 1, append_images=others)
    return path


def read_by_source(path):
    return next(open_source(path).frames()).image


READERS = [check_single, read_by_source, image_size, lambda path: LoadFrame()({'img_path': str(path)})]


@pytest.mark.parametrize('read', READERS)
@pytest.mark.parametrize('suffix', SUFFIXES)
def test_several_pictures_are_refused_by_every_reader(tmp_path, read, suffix):
    path = write(tmp_path / f'image{suffix}', 3)
    with pytest.raises(InputError, match=rf'image\{suffix} holds 3 pictures'):
        read(path)


@pytest.mark.parametrize('read', READERS)
@pytest.mark.parametrize('suffix', [*SUFFIXES, '.jpg', '.bmp'])
def test_one_picture_passes(tmp_path, read, suffix):
    read(write(tmp_path / f'image{suffix}', 1))


def test_a_folder_with_an_animation_is_refused_at_its_frame(tmp_path):
    for k, count in enumerate((1, 2, 1)):
        write(tmp_path / f'{k}.png', count)
    frames = open_source(tmp_path).frames()
    assert next(frames).frame_id == 0
    with pytest.raises(InputError, match=r'1\.png holds 2 pictures'):
        next(frames)


@pytest.mark.parametrize('keys', [{'bigtiff': True}, {'byteorder': '>'}, {'bigtiff': True, 'byteorder': '>'}])
def test_every_kind_of_tiff_is_counted(tmp_path, keys):
    tifffile.imwrite(tmp_path / 'stack.tif', np.zeros((5, 20, 30), np.uint16), **keys)
    with pytest.raises(InputError, match='holds 5 pictures'):
        check_single(tmp_path / 'stack.tif')
    tifffile.imwrite(tmp_path / 'one.tif', np.zeros((20, 30), np.uint16), **keys)
    check_single(tmp_path / 'one.tif')


@pytest.mark.parametrize('order', '<>')
def test_smaller_copies_of_a_picture_are_no_pictures(tmp_path, order):
    with tifffile.TiffWriter(tmp_path / 'pyramid.tif', byteorder=order) as file:
        file.write(PICTURES[0], photometric='rgb')
        file.write(PICTURES[0][::2, ::2], photometric='rgb', subfiletype=1)
    check_single(tmp_path / 'pyramid.tif')


@pytest.mark.parametrize('suffix', SUFFIXES)
def test_damage_is_left_to_the_decoder(tmp_path, suffix):
    """Neither a cut nor a changed byte ends in another error or without an end."""
    content = write(tmp_path / f'whole{suffix}', 3).read_bytes()
    path = tmp_path / 'damaged'
    for place in range(0, len(content), max(1, len(content) // 150)):
        path.write_bytes(content[:place])
        with_a_change = io.BytesIO(content)
        with_a_change.seek(place)
        with_a_change.write(b'\xff')
        check_single_or_refuse(path)
        path.write_bytes(with_a_change.getvalue())
        check_single_or_refuse(path)


def check_single_or_refuse(path):
    try:
        check_single(path)
    except InputError as error:
        assert 'pictures' in str(error)
