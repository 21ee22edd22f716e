"""Frames as images with a COCO file become a CocoVID file."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.convert.coco_frames import convert_coco_frames
from tsm_det.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """Where the images are."""
    return tmp_path / 'images'


def coco(names, boxes=((0, [1, 1, 4, 4], {}),), size=(48, 64)):
    """A COCO file's content; ``boxes`` are (number of the image, bbox, further keys)."""
    shape = dict(zip(('height', 'width'), size, strict=True)) if size else {}
    return {'images': [{'id': 10 + k, 'file_name': name, **shape} for k, name in enumerate(names)],
            'annotations': [{'id': 100 + k, 'image_id': 10 + image, 'category_id': 3, 'bbox': box, **keys}
                            for k, (image, box, keys) in enumerate(boxes)],
            'categories': [{'id': 3, 'name': 'bird'}, {'id': 0, 'name': 'ant'}]}


def convert(folder, content, write=True, **options):
    if write:
        write_images(folder, [image['file_name'] for image in content['images']])
    file, out = folder.parent / 'coco.json', folder.parent / 'all.json'
    file.write_text(json.dumps(content))
    report = convert_coco_frames(file, folder, out, **options)
    return json.loads(out.read_text()), report


def videos_of(content):
    """Name and frame ids of each video."""
    return {video['name']: [image['frame_id'] for image in content['images'] if image['video_id'] == video['id']]
            for video in content['videos']}


@pytest.mark.parametrize(('names', 'videos'), [
    (['cam1/0002.jpg', 'cam2/0007.jpg', 'cam1/0001.jpg'], {'cam1': [1, 2], 'cam2': [7]}),
    (['cam1_000123.jpg', 'cam1_000099.jpg', 'cam2-1.jpg'], {'cam1': [99, 123], 'cam2': [1]}),
    (['a/cam1_1.jpg', 'a/cam2_1.jpg', 'b/x_4.jpg'], {'a/cam1': [1], 'a/cam2': [1], 'b': [4]}),
    (['9.jpg', '10.jpg'], {'coco': [9, 10]}),
    (['walk_mp4-0012_jpg.rf.d2c1f0.jpg', 'walk_mp4-0003_jpg.rf.a7.jpg'], {'walk_mp4': [3, 12]}),
    (['a_1.jpg', 'a-1.jpg', 'a/1.jpg'], {'./a_': [1], './a-': [1], 'a/': [1]})])
def test_videos_are_folders_or_what_stands_before_the_number(folder, names, videos):
    assert videos_of(convert(folder, coco(names))[0]) == videos


@pytest.mark.parametrize('numbers', [
    [1700000000000, 1700000000033, 1700000000067], [40, 80, 120, 160], [5, 100033333, 100066667, 900000000],
    ['1305031102.0999', '1305031102.13', '1305031103.01'], ['2024-01-01_23-59-58', '2024-01-01_23-59-59',
                                                          '2024-01-02_00-00-00']])
def test_time_stamps_become_places_in_order(folder, numbers):
    boxes = [(k, [1 + k, 1, 4, 4], {}) for k in range(len(numbers))]
    content, report = convert(folder, coco([f'a/{number}.jpg' for number in numbers], boxes))
    assert [(image['file_name'], image['frame_id']) for image in content['images']] == [
        (f'a/{number}.jpg', k) for k, number in enumerate(numbers)]
    assert [box['instance_id'] for box in content['annotations']] == [1] * len(numbers)
    assert 'time stamps' in str(report)


def test_numbers_of_every_tenth_frame_stay(folder):
    assert videos_of(convert(folder, coco([f'a/{k}.jpg' for k in (0, 10, 20, 99)]))[0]) == {'a': [0, 10, 20, 99]}


@pytest.mark.parametrize(('names', 'keys', 'videos'), [
    (['x.jpg', 'a.jpg', 'm.jpg'], [(3, 0), (3, 2), (8, 5)], {'walk': [0, 2], '8': [5]}),
    (['9.jpg', '8.jpg', '7.jpg'], [('p', 0), ('p', 1), ('q', 0)], {'p': [0, 1], 'q': [0]}),
    (['cam1_5.jpg', 'cam2_5.jpg', 'cam1_3.jpg'], [(3, None), (8, None), (3, None)], {'walk': [3, 5], '8': [5]}),
    (['cam1/b.jpg', 'cam2/x.jpg', 'cam1/a.jpg'], [(None, 0), (None, 0), (None, 1)], {'cam1': [0, 1], 'cam2': [0]})])
def test_video_and_frame_of_the_file_come_before_names(folder, names, keys, videos):
    content = {**coco(names), 'videos': [{'id': 3, 'name': 'walk'}]}
    for image, (video, frame) in zip(content['images'], keys, strict=True):
        image.update({'video_id': video, 'frame_id': frame})
    assert videos_of(convert(folder, content)[0]) == videos


@pytest.mark.parametrize(('keys', 'message'), [
    ([{'frame_id': 0}, {}], '1 of the 2 images'), ([{'video_id': 1}, {}], '1 of the 2 images'),
    ([{'frame_id': 0}, {'frame_id': 0.5}], r'2\.jpg of .* frame_id 0\.5'),
    ([{'video_id': 0}, {'video_id': [1]}], r'2\.jpg of .* video_id \[1\]'),
    ([{'frame_id': 4, 'video_id': 1}] * 2, r'1\.jpg and 2\.jpg')])
def test_a_video_or_frame_that_is_not_clear_is_an_error(folder, keys, message):
    content = coco(['1.jpg', '2.jpg'])
    for image, its in zip(content['images'], keys, strict=True):
        image.update(its)
    with pytest.raises(InputError, match=message):
        convert(folder, content)


def test_tracks_of_minus_1_are_linked(folder):
    boxes = [(frame, [1 + 30 * k + frame, 1, 6, 6], {'track_id': track}) for frame in (0, 1)
             for k, track in enumerate((-1, '-1'))]
    content, _ = convert(folder, coco(['a/1.jpg', 'a/2.jpg'], boxes))
    assert [box['instance_id'] for box in content['annotations']] == [1, 2, 1, 2]


def test_categories_to_ignore_are_regions_of_all_others(folder):
    content, report = convert(folder, coco(['1.jpg'], [(0, [1, 1, 4, 4], {}), (0, [20, 1, 9, 9], {'category_id': 0})]),
                              ignore=['ant'])
    assert content['categories'] == [{'id': 3, 'name': 'bird'}]
    assert [(box['category_id'], box['iscrowd']) for box in content['annotations']] == [(3, 0), (3, 1)]
    assert report.ignored == 1


def test_only_labelled_images_stay(folder):
    content, _ = convert(folder, coco(['1.jpg', '2.jpg', '3.jpg'], [(1, [1, 1, 4, 4], {})]), labelled_frames_only=True)
    assert [image['frame_id'] for image in content['images']] == [2]


def test_boxes_find_their_frames_and_categories_keep_their_ids(folder):
    boxes = [(0, [1, 2, 3, 4], {'track_id': 0}), (1, [5, 6, 7, 8], {'category_id': 0})]
    content, _ = convert(folder, coco(['a/2.jpg', 'a/1.jpg'], boxes))
    assert content['categories'] == [{'id': 3, 'name': 'bird'}, {'id': 0, 'name': 'ant'}]
    assert [(box['image_id'], box['category_id'], box['bbox'], box['area']) for box in content['annotations']] == [
        (1, 0, [5, 6, 7, 8], 56), (2, 3, [1, 2, 3, 4], 12)]
    assert [image['file_name'] for image in content['images']] == ['a/1.jpg', 'a/2.jpg']


@pytest.mark.parametrize('keys', [lambda k: {'instance_id': k}, lambda k: {'track_id': k},
                                  lambda k: {'attributes': {'track_id': k, 'occluded': True}}])
def test_tracks_are_taken_from_where_tools_write_them(folder, keys):
    boxes = [(frame, [1 + 30 * (k == frame), 1, 4, 4], keys(k)) for frame in (0, 1) for k in (0, 1)]
    content, _ = convert(folder, coco(['a/1.jpg', 'a/2.jpg'], boxes))
    assert [box['instance_id'] for box in content['annotations']] == [1, 2, 1, 2]
    assert content['annotations'][0]['occluded'] == ('attributes' in keys(0))


def test_boxes_without_a_track_are_linked_by_label(folder):
    boxes = [(frame, [10 + frame, 10, 6, 6], {'category_id': label}) for frame in range(3) for label in (0, 3)]
    content, _ = convert(folder, coco([f'{k}.jpg' for k in range(3)], boxes))
    assert [box['instance_id'] for box in content['annotations']] == [1, 2] * 3


def test_crowds_stay_crowds(folder):
    crowd = (0, [1, 1, 4, 4], {'iscrowd': 1})
    content, _ = convert(folder, coco(['1.jpg'], [crowd, (0, [9, 9, 4, 4], {'iscrowd': 0})]))
    assert [annotation['iscrowd'] for annotation in content['annotations']] == [1, 0]


def test_ignored_regions_alone_are_no_boxes(folder):
    with pytest.raises(InputError, match='not one box'):
        convert(folder, coco(['1.jpg'], [(0, [1, 1, 4, 4], {'iscrowd': 1})]))


def test_sizes_that_are_not_stated_come_from_the_images(folder):
    content, _ = convert(folder, coco(['1.jpg'], size=None))
    assert (content['images'][0]['width'], content['images'][0]['height']) == (64, 48)


def test_images_that_are_not_listed_are_left_out_and_counted(folder):
    write_images(folder, ['a/8.jpg', 'a/9.jpg'])
    content, report = convert(folder, coco(['a/1.jpg']))
    assert len(content['images']) == 1
    assert f'2 images in {folder} that coco.json does not list left out' in str(report)


def test_annotations_without_a_box_are_counted(folder):
    _, report = convert(folder, coco(['1.jpg'], [(0, [], {}), (0, [1, 1, 2, 2], {})]))
    assert '1 annotations without a box left out' in str(report)


def test_a_box_that_cannot_be_kept_is_named_by_its_annotation(folder):
    _, report = convert(folder, coco(['1.jpg'], [(0, [70, 1, 2, 2], {}), (0, [1, 1, 4, 4], {})]))
    assert '  coco annotation 100: frame 1: box (70, 1, 2, 2) is empty or outside the frame of 64x48 px' in str(report)


@pytest.mark.parametrize(('names', 'message'), [
    (['photo.jpg'], r'the image photo\.jpg of .* has neither a frame_id nor a number at the end of its name'),
    (['a/1.jpg', 'a/01.jpg'], r'a/1\.jpg and a/01\.jpg of .* are the same frame')])
def test_names_that_give_no_order_are_an_error(folder, names, message):
    with pytest.raises(InputError, match=message):
        convert(folder, coco(names))


def test_missing_images_are_an_error(folder):
    write_images(folder, ['a/1.jpg'])
    with pytest.raises(InputError, match=r'2 of the 3 images of .* are not in .*, the first is a/2\.jpg: name the f'):
        convert(folder, coco(['a/1.jpg', 'a/2.jpg', 'a/3.jpg']), write=False)


def test_images_of_another_size_are_an_error(folder):
    with pytest.raises(InputError, match=r'1\.jpg is 64x48 px but .*coco\.json states 640x480'):
        convert(folder, coco(['1.jpg'], size=(480, 640)))


def test_a_track_with_two_boxes_in_a_frame_is_an_error(folder):
    with pytest.raises(InputError, match='2 boxes of bird track 5 in frame 1: give each object'):
        convert(folder, coco(['1.jpg'], [(0, [1, 1, 4, 4], {'track_id': 5})] * 2))


@pytest.mark.parametrize(('change', 'message'), [
    ({'images': []}, 'list images: is empty'), ({'categories': None}, 'list categories: is missing'),
    ({'images': [{'id': 1}]}, 'image 1: has no file_name'),
    ({'annotations': [{'id': 1, 'image_id': 5, 'category_id': 3}]}, 'annotation 1: image_id 5'),
    ({'annotations': [{'id': 1, 'image_id': 10, 'category_id': 3, 'bbox': [1, 2]}]}, r'1: bbox is \[1, 2\]')])
def test_a_file_that_is_not_coco_is_an_error(folder, change, message):
    write_images(folder, ['1.jpg'])
    with pytest.raises(InputError, match=message):
        convert(folder, {**coco(['1.jpg']), **change}, write=False)


@pytest.mark.parametrize(('text', 'message'), [('{', 'cannot be read as JSON'), ('[]', 'holds a list but')])
def test_a_file_that_is_no_json_object_is_an_error(folder, text, message):
    (folder.parent / 'coco.json').write_text(text)
    with pytest.raises(InputError, match=message):
        convert_coco_frames(folder.parent / 'coco.json', folder, folder.parent / 'all.json')


corner = st.integers(0, 30)
length = st.integers(1, 18)


@given(st.lists(st.tuples(st.integers(0, 2), corner, corner, length, length), min_size=1, max_size=8))
def test_boxes_written_in_the_format_come_back(boxes):
    with tempfile.TemporaryDirectory() as folder:
        content, _ = convert(Path(folder, 'images'), coco(
            [f'a/{k}.jpg' for k in range(3)],
            [(frame, [*box], {'track_id': k}) for k, (frame, *box) in enumerate(boxes)]))
    frames = {image['id']: image['frame_id'] for image in content['images']}
    found = [(frames[box['image_id']], *box['bbox']) for box in content['annotations']]
    assert found == sorted(boxes, key=lambda box: box[0])
