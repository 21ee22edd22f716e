"""What every converter leaves to the builder."""

import json

import pytest

from tsm_det.cocovid.builder import Box, CocoVIDBuilder, number_classes
from tsm_det.cocovid.convert.frame_files import Frame
from tsm_det.errors import InputError

BOX = Box(1, 0, 'bird', (1, 1, 4, 4))


def build(path, boxes, frames=None, categories=None, **options):
    builder = CocoVIDBuilder(categories or {'bird': 1}, **options)
    builder.add_video('a', frames or [Frame(k, f'{k}.jpg', (48, 64)) for k in range(3)], boxes, 'boxes.txt')
    report = builder.write(path / 'all.json')
    return json.loads((path / 'all.json').read_text()), report


def test_categories_keep_their_ids(tmp_path):
    content, _ = build(tmp_path, [Box(1, 0, 'bird', (1, 1, 4, 4))], categories={'drone': 7, 'bird': 0})
    assert content['categories'] == [{'id': 7, 'name': 'drone'}, {'id': 0, 'name': 'bird'}]
    assert content['annotations'][0]['category_id'] == 0


def test_a_box_is_clipped_to_its_own_frame(tmp_path):
    frames = [Frame(0, '0.jpg', (48, 64)), Frame(1, '1.jpg', (20, 30))]
    content, report = build(tmp_path, [Box(k, k, 'bird', (25, 15, 10, 10)) for k in range(2)], frames)
    assert [box['bbox'] for box in content['annotations']] == [[25, 15, 10, 10], [25, 15, 5, 5]]
    assert report.clipped == 1


def test_an_image_has_no_frame_in_file(tmp_path):
    assert all('frame_in_file' not in image for image in build(tmp_path, [BOX])[0]['images'])


def test_a_missing_frame_is_named_as_the_format_counts(tmp_path):
    frames = [Frame(k, f'{k}.jpg', (48, 64)) for k in (0, 2)]
    _, report = build(tmp_path, [BOX, Box(8, 1, 'bird', (1, 1, 4, 4))], frames, first_frame=1, counted_by='annotation')
    assert '  a annotation 8: frame 2 is not in the video, which has frames 1 to 3 with gaps' in str(report)


def test_a_track_with_two_boxes_in_a_frame_is_refused_by_the_number_in_the_file(tmp_path):
    boxes = [Box(k, 1, 'bird', (1, 1, 4, 4), '7') for k in range(2)]
    with pytest.raises(InputError, match=r'boxes\.txt has 2 boxes of bird track 7 in frame 2: give each object'):
        build(tmp_path, boxes, first_frame=1)


def test_crowds_are_marked_and_linked_apart(tmp_path):
    boxes = [Box(frame, frame, 'bird', (10, 10, 6, 6), is_crowd=crowd) for frame in range(2) for crowd in (False, True)]
    content, report = build(tmp_path, boxes)
    assert [(box['iscrowd'], box['instance_id']) for box in content['annotations']] == [(0, 1), (1, 2), (0, 1), (1, 2)]
    assert report.tracks == {'bird': 2}


def test_boxes_with_and_without_a_track_get_along(tmp_path):
    boxes = [Box(0, 0, 'bird', (1, 1, 6, 6), '0'), Box(1, 0, 'bird', (40, 30, 6, 6)), Box(2, 1, 'bird', (41, 30, 6, 6)),
             Box(3, 1, 'bird', (30, 1, 6, 6), '0')]
    content, _ = build(tmp_path, boxes)
    assert [box['instance_id'] for box in content['annotations']] == [1, 2, 2, 1]


def test_what_is_left_out_is_counted_in_the_summary(tmp_path):
    builder = CocoVIDBuilder({'bird': 1})
    builder.add_video('a', [Frame(0, '0.jpg', (48, 64))], [BOX], 'boxes.txt')
    builder.report.left_out['polygons left out'] += 3
    assert '3 polygons left out' in str(builder.write(tmp_path / 'all.json')).splitlines()


def test_classes_are_numbered_in_order():
    assert number_classes({'b': 'line 1', 'a': 'line 2'}, None) == {'a': 1, 'b': 2}
    assert number_classes({'b': 'line 1'}, ['b', 'a']) == {'b': 1, 'a': 2}
    assert number_classes({'b': 'line 1', 'x': 'line 2'}, None, ignore=['x']) == {'b': 1}
    assert number_classes({'b': 'line 1'}, ['x', 'b'], ignore=['x']) == {'b': 1}


def test_classes_are_names_not_the_letters_of_one():
    with pytest.raises(InputError, match=r"'bird'.*\('bird',\)"):
        number_classes({'bird': 'line 1'}, 'bird')


@pytest.mark.parametrize('boxes', [[], [Box(3, 9, 'bird', (1, 1, 4, 4))]])
def test_a_file_without_a_box_is_an_error_and_is_not_written(tmp_path, boxes):
    with pytest.raises(InputError, match='frame 9 is not in the video' if boxes else 'not one box'):
        build(tmp_path, boxes)
    assert not (tmp_path / 'all.json').exists()


def test_boxes_of_ignored_labels_are_regions_of_every_class(tmp_path):
    boxes = [BOX, *(Box(2, 0, 'crowd', (x, 20, 9, 9), '7') for x in (1, 30))]
    content, report = build(tmp_path, boxes, categories={'bird': 1, 'drone': 5}, ignore=['crowd'])
    assert [(box['category_id'], box['iscrowd'], box['bbox'][0]) for box in content['annotations']] == [
        (1, 0, 1), (1, 1, 1), (5, 1, 1), (1, 1, 30), (5, 1, 30)]
    assert [box['id'] for box in content['annotations']] == [1, 2, 3, 4, 5]
    assert len({box['instance_id'] for box in content['annotations']}) == 5
    assert (report.ignored, report.boxes, report.tracks) == (2, {'bird': 1, 'drone': 0}, {'bird': 1})
    assert report.notes == []


def test_a_label_to_ignore_that_no_box_has_is_noted(tmp_path):
    assert ['crwd' in note for note in build(tmp_path, [BOX], ignore=['crwd'])[1].notes] == [True]


def test_a_dropped_box_is_listed_with_its_frame(tmp_path):
    _, report = build(tmp_path, [BOX, Box(8, 0, 'bird', (1, 1, 0, 4))], first_frame=1)
    assert 'a line 8: frame 1: box' in str(report)


def test_labels_on_every_kth_frame_are_noted_or_the_only_frames(tmp_path):
    frames = [Frame(k, f'{k}.jpg', (48, 64)) for k in range(11)]
    boxes = [Box(k, k, 'bird', (1, 1, 4, 4)) for k in (0, 5, 10)]
    content, report = build(tmp_path, boxes, frames)
    assert (len(content['images']), report.sparse) == (11, {'a': 5})
    content, report = build(tmp_path, boxes, frames, labelled_frames_only=True)
    assert ([image['frame_id'] for image in content['images']], report.sparse) == ([0, 5, 10], {})
    assert report.left_out == {'frames without a label left out': 8}


def test_a_frame_whose_only_row_is_dropped_has_been_looked_at(tmp_path):
    content, _ = build(tmp_path, [BOX, Box(2, 2, 'bird', (1, 1, 0, 0))], labelled_frames_only=True)
    assert [image['frame_id'] for image in content['images']] == [0, 2]


def test_a_video_without_a_labelled_frame_is_left_out(tmp_path):
    builder = CocoVIDBuilder({'bird': 1}, labelled_frames_only=True)
    for name, boxes in (('a', []), ('b', [BOX])):
        builder.add_video(name, [Frame(0, f'{name}.jpg', (48, 64))], boxes, 'boxes.txt')
    report = builder.write(tmp_path / 'all.json')
    assert (report.videos, report.left_out['videos without a labelled frame left out']) == (1, 1)
