"""YouTube-VIS becomes a CocoVID file."""

import json

import pytest

from tests.cocovid.converted import boxes_of, converted, frames_of, ignored_of
from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.convert.youtube_vis import convert_youtube_vis
from tsm_det.errors import InputError

VIDEO = {'id': 1, 'width': 64, 'height': 48, 'length': 3, 'date_captured': '2019-04-11', 'license': 1,
         'file_names': ['00f88c4f0a/00000.jpg', '00f88c4f0a/00005.jpg', '00f88c4f0a/00010.jpg']}
TRACK = {'id': 7, 'video_id': 1, 'category_id': 22, 'iscrowd': 0, 'length': 1, 'width': 64, 'height': 48,
         'segmentations': [None, None, None], 'areas': [12, None, 20],
         'bboxes': [[10.0, 20.0, 3.0, 4.0], None, [12.0, 20.0, 4.0, 5.0]]}
CATEGORIES = [{'supercategory': 'object', 'id': 1, 'name': 'person'},
              {'supercategory': 'object', 'id': 22, 'name': 'ape'}]


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path / 'JPEGImages', VIDEO['file_names'])
    return tmp_path


def convert(root, videos=(VIDEO,), annotations=(TRACK,), categories=CATEGORIES):
    (root / 'train.json').write_text(json.dumps(
        {'info': {}, 'videos': list(videos), 'annotations': list(annotations), 'categories': categories}))
    return converted(convert_youtube_vis, root / 'train.json', root / 'JPEGImages', out=root / 'all.json')


def test_frame_ids_are_the_numbers_of_the_images_and_null_is_no_box(root):
    content, _ = convert(root)
    assert frames_of(content) == [(f'00f88c4f0a/{k:05d}.jpg', k) for k in (0, 5, 10)]
    assert boxes_of(content) == [('00f88c4f0a', 0, 'ape', [10, 20, 3, 4], 1),
                                 ('00f88c4f0a', 10, 'ape', [12, 20, 4, 5], 1)]
    assert [(item['id'], item['name']) for item in content['categories']] == [(1, 'person'), (22, 'ape')]


def test_names_without_rising_numbers_are_frames_in_order(root):
    names = ['v/b.jpg', 'v/a.jpg', 'v/c.jpg']
    write_images(root / 'JPEGImages', names)
    content, _ = convert(root, [{**VIDEO, 'file_names': names}])
    assert frames_of(content) == [('v/b.jpg', 0), ('v/a.jpg', 1), ('v/c.jpg', 2)]
    assert [box[1] for box in boxes_of(content)] == [0, 2]


def test_a_backslash_is_a_separator(root):
    content, _ = convert(root, [{**VIDEO, 'file_names': [name.replace('/', '\\') for name in VIDEO['file_names']]}])
    assert frames_of(content)[1] == ('00f88c4f0a/00005.jpg', 5)


def test_crowds_stay_crowds(root):
    content, _ = convert(root, annotations=[TRACK, {**TRACK, 'id': 8, 'iscrowd': 1}])
    assert len(ignored_of(content)) == len(boxes_of(content)) == 2


@pytest.mark.parametrize(('video', 'track', 'message'), [
    ({}, {'bboxes': [None, None]}, 'has 2 bboxes'), ({}, {'bboxes': None}, 'bboxes is missing'),
    ({}, {'bboxes': [[1, 2, 3], None, None]}, '3 values but must have 4'), ({}, {'category_id': 3}, 'category 3'),
    ({}, {'bboxes': [[1, 2, 3, 'x'], None, None]}, 'must be a number'), ({}, {'video_id': 2}, 'video 2'),
    ({}, {'bboxes': [None, None, None]}, 'not one box'), ({'file_names': []}, {}, 'no file_names'),
    ({'file_names': ['../a.jpg']}, {}, r'\.\./a\.jpg'), ({'file_names': ['/etc/a.jpg']}, {}, 'etc/a.jpg'),
    ({'file_names': ['00f88c4f0a/00001.jpg']}, {}, '00001.jpg, which is not in'), ({'height': 50}, {}, '64x50')])
def test_a_file_that_cannot_be_understood_is_an_error(root, video, track, message):
    with pytest.raises(InputError, match=message):
        convert(root, [{**VIDEO, **video}], [{**TRACK, **track}])
