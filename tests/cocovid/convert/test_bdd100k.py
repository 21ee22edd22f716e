"""Videos of BDD100K become a CocoVID file."""

import json

import pytest

from tests.cocovid.converted import boxes_of, converted, frames_of, ignored_of
from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.convert.bdd100k import convert_bdd100k
from tsm_det.errors import InputError

VIDEO = 'b1c66a42-6f7d68ca'


def label(track, category, x1, y1, x2, y2, **attributes):
    return {'id': track, 'category': category, 'box2d': {'x1': x1, 'y1': y1, 'x2': x2, 'y2': y2},
            'attributes': {'crowd': False, 'occluded': False, 'truncated': False, **attributes}}


def frame(index, labels, video=VIDEO):
    return {'name': f'{video}-{index + 1:07d}.jpg', 'videoName': video, 'frameIndex': index, 'labels': labels}


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path / 'images' / VIDEO, [f'{VIDEO}-{k:07d}.jpg' for k in (1, 2, 3)])
    return tmp_path


def convert(root, frames, **options):
    (root / 'labels').mkdir(exist_ok=True)
    (root / 'labels' / f'{VIDEO}.json').write_text(json.dumps(frames))
    return converted(convert_bdd100k, root / 'labels', root / 'images', out=root / 'all.json', **options)


FRAMES = [frame(0, [label('00091078', 'car', 10.5, 20, 15.5, 26.25, occluded=True),
                    label('00091079', 'rider', 1, 2, 3, 5)]),
          frame(1, None), frame(2, [label('00091078', 'car', 12.5, 20, 17.5, 26.25)])]


def test_frame_ids_are_frame_indices_and_boxes_are_corners(root):
    content, _ = convert(root, FRAMES)
    assert frames_of(content) == [(f'{VIDEO}/{VIDEO}-000000{k + 1}.jpg', k) for k in range(3)]
    assert boxes_of(content) == [(VIDEO, 0, 'car', [10.5, 20, 5, 6.25], 1), (VIDEO, 0, 'rider', [1, 2, 2, 3], 2),
                                 (VIDEO, 2, 'car', [12.5, 20, 5, 6.25], 1)]
    assert [box['occluded'] for box in content['annotations']] == [True, False, False]


def test_crowds_and_distractors_are_ignored(root):
    content, _ = convert(root, [frame(0, [
        label('1', 'pedestrian', 1, 1, 9, 9, crowd=True), label('2', 'other vehicle', 10, 10, 20, 20),
        label('3', 'other person', 20, 20, 24, 30), label('4', 'trailer', 30, 30, 40, 40),
        label('5', 'bus', 40, 1, 60, 20)])])
    assert ignored_of(content) == [(VIDEO, 0, 'pedestrian', [1, 1, 8, 8]), (VIDEO, 0, 'car', [10, 10, 10, 10]),
                                   (VIDEO, 0, 'pedestrian', [20, 20, 4, 10]), (VIDEO, 0, 'truck', [30, 30, 10, 10])]
    assert [box[2] for box in boxes_of(content)] == ['bus']


def test_a_distractor_may_be_a_class(root):
    content, _ = convert(root, [frame(0, [label('4', 'trailer', 30, 30, 40, 40)])], classes=['car', 'trailer'])
    assert [box[2] for box in boxes_of(content)] == ['trailer']


def test_ignored_labels_become_regions_of_every_class(root):
    content, _ = convert(root, FRAMES, ignore=['rider'])
    assert (ignored_of(content), len(boxes_of(content))) == ([(VIDEO, 0, 'car', [1, 2, 2, 3])], 2)


def test_frames_may_come_in_any_order_and_inside_an_object(root):
    assert convert(root, {'frames': FRAMES[::-1], 'config': {}})[0]['images'] == convert(root, FRAMES)[0]['images']


def test_labels_without_a_box_and_images_without_labels_are_counted(root):
    _, report = convert(root, [FRAMES[0], frame(1, [{'id': '7', 'category': 'lane', 'box2d': None, 'poly2d': []}])])
    assert [count for what, count in report.left_out.items()] == [1, 1]


@pytest.mark.parametrize(('change', 'message'), [
    ({'frameIndex': '0'}, 'frameIndex'), ({'frameIndex': -1}, 'from 0'), ({'videoName': None}, 'videoName is missing'),
    ({'videoName': '../images/b'}, r'\.\./images'), ({'name': '..\\x.jpg'}, 'names the file'),
    ({'name': 'x.jpg'}, 'x.jpg, which is not in'),
    ({'labels': [{'category': 'car', 'box2d': {'x1': 1}}]}, 'y1 is missing'),
    ({'labels': [{'category': 'car', 'box2d': 3}]}, 'box2d is .3. but must be an object'),
    ({'labels': []}, 'no box'), ({'frameIndex': 2}, 'second frame 2')])
def test_a_file_that_cannot_be_understood_is_an_error(root, change, message):
    frames = [{**frame(0, [label('1', 'car', 1, 1, 9, 9)]), **change}, frame(2, [])]
    with pytest.raises(InputError, match=message):
        convert(root, frames)


@pytest.mark.parametrize('content', ['[1]', '7', '{"frames": 1}', '[', '{}'])
def test_another_json_file_is_an_error(root, content):
    (root / 'a.json').write_text(content)
    with pytest.raises(InputError, match=r'a\.json'):
        convert_bdd100k(root / 'a.json', root / 'images', root / 'all.json')
