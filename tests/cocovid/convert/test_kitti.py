"""Sequences of KITTI tracking become a CocoVID file."""

import pytest

from tests.cocovid.converted import boxes_of, converted, frames_of, ignored_of
from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.convert.kitti import convert_kitti
from tsm_det.errors import InputError

CAR = '{} 0 Car 0 1 -1.57 {} 10.0 30.5 25.25 1.50 1.60 3.70 -8.6 1.7 12.4 -2.1'
DONT_CARE = '1 -1 DontCare -1 -1 -10.000000 40 5 60 15 -1000 -1000 -1000 -10 -1 -1 -1'


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path / 'training' / 'image_02' / '0000', [f'{k:06d}.png' for k in range(3)])
    (tmp_path / 'training' / 'label_02').mkdir()
    return tmp_path / 'training'


def write(root, *rows, name='0000'):
    (root / 'label_02' / f'{name}.txt').write_text('\n'.join([*rows, '']))


def convert(root, **options):
    return converted(convert_kitti, root, out=root / 'all.json', **options)


def test_frames_count_from_0_and_boxes_are_corners(root):
    write(root, CAR.format(0, 12.5), CAR.format(2, 14), '2 1 Pedestrian 0 0 -1 50 1 60 21 -1 -1 -1 -1 -1 -1 -1')
    content, _ = convert(root)
    assert frames_of(content) == [(f'image_02/0000/00000{k}.png', k) for k in range(3)]
    assert boxes_of(content) == [('0000', 0, 'Car', [12.5, 10, 18, 15.25], 1),
                                 ('0000', 2, 'Car', [14, 10, 16.5, 15.25], 1),
                                 ('0000', 2, 'Pedestrian', [50, 1, 10, 20], 2)]
    assert [box['occluded'] for box in content['annotations']] == [True, True, False]


def test_dont_care_is_an_ignored_region(root):
    write(root, CAR.format(1, 12.5), DONT_CARE)
    content, _ = convert(root)
    assert ignored_of(content) == [('0000', 1, 'Car', [40, 5, 20, 10])]
    assert [item['name'] for item in content['categories']] == ['Car']


def test_the_folder_above_training_will_do(root):
    write(root, CAR.format(1, 12.5))
    content, _ = convert(root.parent, classes=['Van', 'Car'])
    assert content['images'][0]['file_name'] == 'training/image_02/0000/000000.png'
    assert [item['name'] for item in content['categories']] == ['Van', 'Car']


@pytest.mark.parametrize(('rows', 'message'), [
    (['Car 0.00 0 1.85 387.63 181.54 423.81 203.12 1.67 1.87 3.69'], "frame is 'Car'"),
    (['0 0 Car 0 0 -1.5 10 10'], 'has 8 values but 10'),
    ([DONT_CARE], 'no box')])
def test_a_file_that_cannot_be_understood_is_an_error(root, rows, message):
    write(root, *rows)
    with pytest.raises(InputError, match=message):
        convert(root)
