"""Videos of VisDrone become a CocoVID file."""

import pytest

from tests.cocovid.converted import boxes_of, converted, frames_of, ignored_of
from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.convert.visdrone import CLASSES, convert_visdrone
from tsm_det.errors import InputError

NAME = 'uav0000013_00000_v'


@pytest.fixture
def root(tmp_path):
    root = tmp_path / 'VisDrone2019-VID-train'
    write_images(root / 'sequences' / NAME, [f'{k:07d}.jpg' for k in (1, 2, 3)])
    (root / 'annotations').mkdir()
    return root


def write(root, *rows, name=NAME):
    (root / 'annotations' / f'{name}.txt').write_text('\r\n'.join([*rows, '']))


def convert(root, **options):
    return converted(convert_visdrone, root, out=root / 'all.json', **options)


def test_frames_count_from_1_and_pixels_from_0(root):
    write(root, '1,4,10,20,5,6,1,4,0,0', '3,4,12,20,5,6,1,4,0,1', '3,7,0,0,8,9,1,1,0,0')
    content, report = convert(root)
    assert frames_of(content) == [(f'sequences/{NAME}/000000{k}.jpg', k - 1) for k in (1, 2, 3)]
    assert boxes_of(content) == [(NAME, 0, 'car', [10, 20, 5, 6], 1), (NAME, 2, 'car', [12, 20, 5, 6], 1),
                                 (NAME, 2, 'pedestrian', [0, 0, 8, 9], 2)]
    assert [box['occluded'] for box in content['annotations']] == [False, True, False]
    assert [(item['id'], item['name']) for item in content['categories']] == list(enumerate(CLASSES, start=1))
    assert (report.videos, report.frames) == (1, 3)


def test_category_0_is_ignored_for_all_classes_and_score_0_for_its_own(root):
    write(root, '1,0,30,30,10,10,0,0,0,0', '2,5,1,1,9,9,0,11,0,0', '1,1,5,5,5,5,1,10,0,0')
    content, _ = convert(root)
    assert boxes_of(content) == [(NAME, 0, 'motor', [5, 5, 5, 5], boxes_of(content)[0][-1])]
    assert ignored_of(content) == [*((NAME, 0, label, [30, 30, 10, 10]) for label in CLASSES),
                                   (NAME, 1, 'others', [1, 1, 9, 9])]


def test_the_category_others_may_be_ignored_for_all_classes(root):
    write(root, '1,0,30,30,10,10,0,11,0,0', '1,1,5,5,5,5,1,10,0,0')
    assert [label for _, _, label, _ in ignored_of(convert(root, ignore=['others'])[0])] == list(CLASSES[:-1])


def test_a_target_of_minus_1_is_linked(root):
    write(root, '1,-1,10,20,5,6,1,4,0,0', '2,-1,11,20,5,6,1,4,0,0', '1,-1,40,20,5,6,1,4,0,0')
    assert [track for *_, track in boxes_of(convert(root)[0])] == [1, 2, 1]


def test_a_row_beyond_the_video_is_dropped_and_listed(root):
    write(root, '1,1,10,20,5,6,1,4,0,0', '4,1,10,20,5,6,1,4,0,0')
    dropped, = convert(root)[1].dropped
    assert (dropped.line, 'frame 4' in dropped.why) == (2, True)


@pytest.mark.parametrize(('rows', 'message'), [
    (['1,1,10,20,5,6,1,4'], 'line 1 has 8 values but 10'),
    (['1,1,10,20,5,6,1,12,0,0'], 'category 12'),
    (['1,1,ten,20,5,6,1,4,0,0'], "left is 'ten'"),
    ([], 'not one box')])
def test_a_file_that_cannot_be_understood_is_an_error(root, rows, message):
    write(root, *rows)
    with pytest.raises(InputError, match=message):
        convert(root)


def test_a_sequence_without_its_partner_is_an_error(root):
    write(root, '1,1,10,20,5,6,1,4,0,0')
    write(root, '1,1,10,20,5,6,1,4,0,0', name='other')
    with pytest.raises(InputError, match=r'other\.txt has no sequences/other/'):
        convert(root)
    with pytest.raises(InputError, match='not a folder'):
        convert(root / 'sequences')
