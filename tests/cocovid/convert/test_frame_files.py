"""Frames out of files, without decoding more than is needed."""

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.convert.frame_files import check_size, files_below, image_size, images_of
from tsm_det.datasets.load_frame import LoadFrame
from tsm_det.errors import InputError


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp', 'tif'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_a_size_is_that_of_the_loaded_image(tmp_path, suffix, orientation):
    path, exif = tmp_path / f'a.{suffix}', Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(path, exif=exif)
    assert image_size(path) == LoadFrame()({'img_path': str(path)})['ori_shape']


def test_sizes_come_out_of_headers(tmp_path):
    for name in ('a.jpg', 'a.png'):
        cv2.imwrite(str(tmp_path / name), np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8))
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:1000])
        assert image_size(tmp_path / name) == (300, 400)


def test_other_and_hidden_files_are_no_images(tmp_path):
    write_images(tmp_path, ['b.jpg', 'a.PNG'])
    for name in ('._a.jpg', 'Thumbs.db'):
        (tmp_path / name).write_text('')
    assert [path.name for path in images_of(tmp_path)] == ['a.PNG', 'b.jpg']


def test_files_are_found_behind_links_each_once(tmp_path):
    write_images(tmp_path / 'disk', ['far/1.jpg', '2.JPG', '.3.jpg', '4.png'])
    write_images(tmp_path / 'data', ['run3/5.jpg', 'a/6.jpg', 'b/7.jpg'])
    for link, target in (('data/cam', 'disk'), ('data/same', 'disk'), ('disk/far/up', 'disk'), ('data/a/b', 'data/b'),
                         ('data/b/a', 'data/a'), ('data/latest', 'data/run3')):
        (tmp_path / link).symlink_to(tmp_path / target, target_is_directory=True)
    assert [path.relative_to(tmp_path / 'data').as_posix() for path in files_below(tmp_path / 'data', '.jpg')] == [
        'a/6.jpg', 'b/7.jpg', 'cam/2.JPG', 'cam/far/1.jpg', 'run3/5.jpg']


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match=r'holds no image \(.*\.jpg.*\): put the frames there'):
        images_of(tmp_path)
    with pytest.raises(InputError, match='is not a folder'):
        images_of(tmp_path / 'none')


def test_an_image_that_is_none_is_refused(tmp_path):
    (tmp_path / 'a.jpg').write_text('no image')
    with pytest.raises(InputError, match=r'a\.jpg cannot be read as an image'):
        image_size(tmp_path / 'a.jpg')
    with pytest.raises(InputError, match=r'b\.jpg is missing'):
        image_size(tmp_path / 'b.jpg')


def test_an_image_of_another_size_than_stated_is_refused(tmp_path):
    write_images(tmp_path, ['a.jpg'])
    check_size(tmp_path / 'a.jpg', (48, 64), 'x.json')
    with pytest.raises(InputError, match=r'a\.jpg is 64x48 px but x\.json states 640x480'):
        check_size(tmp_path / 'a.jpg', (480, 640), 'x.json')
