"""TAO becomes a CocoVID file."""

import json

import pytest

from tests.cocovid.converted import boxes_of, converted, frames_of
from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.convert.tao import convert_tao
from tsm_det.errors import InputError

NAME = 'train/YFCC100M/v_f69ebe5b731d3e87c1a3992ee39c3b7e'
CONTENT = {
    'info': {}, 'licenses': [],
    'videos': [{'id': 5, 'name': NAME, 'width': 64, 'height': 48, 'neg_category_ids': [], 'metadata': {},
                'not_exhaustive_category_ids': [805]}],
    'images': [{'id': 31, 'video': NAME, 'video_id': 5, 'frame_index': 30, 'file_name': f'{NAME}/frame0031.jpg',
                'width': 64, 'height': 48, 'license': 0},
               {'id': 61, 'video': NAME, 'video_id': 5, 'frame_index': 60, 'file_name': f'{NAME}/frame0061.jpg',
                'width': 64, 'height': 48, 'license': 0}],
    'annotations': [{'id': 1, 'image_id': 61, 'video_id': 5, 'track_id': 9, 'category_id': 805, 'iscrowd': 0,
                     'area': 30, 'bbox': [10, 20, 5, 6], 'segmentation': [[10, 20, 15, 20, 15, 26, 10, 26]]},
                    {'id': 2, 'image_id': 31, 'video_id': 5, 'track_id': 9, 'category_id': 805, 'iscrowd': 0,
                     'area': 30, 'bbox': [9, 20, 5, 6], 'segmentation': []}],
    'tracks': [{'id': 9, 'category_id': 805, 'video_id': 5}],
    'categories': [{'id': 805, 'name': 'baby', 'synset': 'baby.n.01', 'frequency': 'f'}, {'id': 95, 'name': 'ball'}]}


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path / 'frames', [f'{NAME}/frame00{k}.jpg' for k in (31, 32, 61)])
    return tmp_path


def convert(root, **lists):
    (root / 'train.json').write_text(json.dumps({**CONTENT, **lists}))
    return converted(convert_tao, root / 'train.json', root / 'frames', out=root / 'all.json')


def test_frame_ids_are_frame_indices_and_frames_between_are_left_out(root):
    content, report = convert(root)
    assert frames_of(content) == [(f'{NAME}/frame0031.jpg', 30), (f'{NAME}/frame0061.jpg', 60)]
    assert boxes_of(content) == [(NAME, 30, 'baby', [9, 20, 5, 6], 1), (NAME, 60, 'baby', [10, 20, 5, 6], 1)]
    assert [(item['id'], item['name']) for item in content['categories']] == [(805, 'baby'), (95, 'ball')]
    assert sorted(report.left_out.values()) == [1, 1]


@pytest.mark.parametrize(('name', 'change', 'message'), [
    ('images', {'frame_index': None}, 'frame_index is missing'), ('images', {'frame_index': 60}, 'second frame 60'),
    ('images', {'video_id': 6}, 'video 6'), ('images', {'file_name': '../x.jpg'}, r'\.\./x\.jpg'),
    ('annotations', {'image_id': 7}, 'image 7'), ('annotations', {'category_id': 7}, 'category 7'),
    ('annotations', {'bbox': [1, 2, 3]}, '3 values'), ('annotations', {'track_id': None}, 'track_id is missing'),
    ('videos', {'width': 640}, '640x48'), ('categories', {'name': 3}, 'name')])
def test_a_file_that_cannot_be_understood_is_an_error(root, name, change, message):
    records = CONTENT[name]
    with pytest.raises(InputError, match=message):
        convert(root, **{name: [{**records[0], **change}, *records[1:]]})


def test_a_file_without_a_box_is_an_error(root):
    with pytest.raises(InputError, match='not one box'):
        convert(root, annotations=[])
