"""Sequences in MOTChallenge's layout become a CocoVID file."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.convert.mot import CLASSES, convert_mot
from tsm_det.errors import InputError

INFO = '[Sequence]\nname={name}\nimDir=img1\nframeRate=30\nseqLength=3\nimWidth=64\nimHeight=48\nimExt=.jpg\n'


@pytest.fixture
def root(tmp_path):
    return tmp_path / 'MOT'


def add(root, rows, name='MOT17-02', info=INFO, images=('000001.jpg', '000002.jpg', '000003.jpg'), **options):
    folder = root / name
    write_images(folder / 'img1', images, **options)
    (folder / 'gt').mkdir()
    (folder / 'gt' / 'gt.txt').write_text('\n'.join([*rows, '']))
    if info:
        (folder / 'seqinfo.ini').write_text(info.format(name=name))
    return folder


def convert(root, **options):
    report = convert_mot(root, root.parent / 'all.json', **options)
    return json.loads((root.parent / 'all.json').read_text()), report


def boxes_of(content):
    """(frame id, label, bbox, track) of all annotations."""
    frames = {image['id']: image['frame_id'] for image in content['images']}
    labels = {category['id']: category['name'] for category in content['categories']}
    return [(frames[box['image_id']], labels[box['category_id']], box['bbox'], box['instance_id'])
            for box in content['annotations']]


def test_frame_k_becomes_frame_id_k_less_1_and_so_do_places(root):
    add(root, ['1,4,11,21,5,6,1,1,1', '3,4,12,21,5,6,1,3,0.4', '3,9,31,11,5,6,1,1,1'])
    content, report = convert(root)
    assert boxes_of(content) == [(0, 'pedestrian', [10, 20, 5, 6], 1), (2, 'car', [11, 20, 5, 6], 2),
                                 (2, 'pedestrian', [30, 10, 5, 6], 3)]
    assert content['videos'] == [{'id': 1, 'name': 'MOT17-02', 'height': 48, 'width': 64}]
    assert [image['file_name'] for image in content['images']] == [
        f'MOT17-02/img1/00000{k}.jpg' for k in (1, 2, 3)]
    assert tuple(category['name'] for category in content['categories']) == CLASSES
    assert (report.videos, report.frames) == (1, 3)


def test_a_file_that_counts_pixels_from_0_is_taken_as_it_is(root):
    add(root, ['1,4,11,21,5,6,1,1,1'])
    assert boxes_of(convert(root, origin=0)[0])[0][2] == [11, 21, 5, 6]


def test_rows_of_flag_0_are_regions_to_ignore(root):
    add(root, ['1,4,11,21,5,6,0,1,1', '1,5,31,21,5,6,1,1,1', '2,4,11,21,5,6,0,1,1'])
    content, report = convert(root)
    assert [(box['iscrowd'], box['instance_id']) for box in content['annotations']] == [(1, 1), (0, 2), (1, 1)]
    assert report.ignored == 2


@pytest.mark.parametrize('class_id', ['0', '13'])
def test_rows_of_flag_0_and_no_known_class_are_regions_of_all_classes(root, class_id):
    add(root, [f'1,0,{x},21,5,6,0,{class_id}' for x in (11, 31)] + ['2,5,11,21,5,6,1,1'])
    content, report = convert(root, classes=['ant', 'bee'])
    assert [(label, box[0]) for frame, label, box, _ in boxes_of(content) if frame == 0] == [
        ('ant', 10), ('bee', 10), ('ant', 30), ('bee', 30)]
    assert [box['iscrowd'] for box in content['annotations']] == [1, 1, 1, 1, 0]
    assert len({box['instance_id'] for box in content['annotations']}) == 5
    assert (report.ignored, report.boxes) == (2, {'ant': 1, 'bee': 0})


@pytest.mark.parametrize('row', ['2,4,11,21,5,6', '2,4,11,21,5,6,1', '2,4,11,21,5,6,1,-1,-1,-1'])
@pytest.mark.parametrize(('classes', 'label'), [(None, 'object'), (['ant'], 'ant')])
def test_without_a_class_there_is_one(root, row, classes, label):
    add(root, [row])
    content, _ = convert(root, classes=classes)
    assert boxes_of(content) == [(1, label, [10, 20, 5, 6], 1)]
    assert len(content['categories']) == 1


def test_classes_name_the_numbers(root):
    add(root, ['1,4,11,21,5,6,1,2,1'])
    content, _ = convert(root, classes=['ant', 'bee'])
    assert boxes_of(content)[0][1] == 'bee'


def test_labels_beside_gt_name_the_numbers(root):
    (add(root, ['1,4,11,21,5,6,1,2,1']) / 'gt' / 'labels.txt').write_text('ant\nbee\n')
    assert [item['name'] for item in convert(root)[0]['categories']] == ['ant', 'bee']


def test_boxes_of_track_less_than_0_are_linked(root):
    add(root, [f'{frame},-1,{10 + frame},21,5,6,0.9,-1,-1,-1' for frame in (1, 2, 3)])
    assert [track for *_, track in boxes_of(convert(root)[0])] == [1, 1, 1]


def test_a_sequence_alone_is_converted(root):
    content, _ = convert(add(root, ['1,4,11,21,5,6,1,1,1']))
    assert (content['videos'][0]['name'], content['images'][0]['file_name']) == ('MOT17-02', 'img1/000001.jpg')


def test_sequences_come_by_name_and_other_folders_are_left_alone(root):
    for name in ('b', 'a'):
        add(root, ['1,4,11,21,5,6,1,1,1'], name)
    (root / 'notes').mkdir()
    content, _ = convert(root, classes=['bird'])
    assert [(video['id'], video['name']) for video in content['videos']] == [(1, 'a'), (2, 'b')]
    assert [track for *_, track in boxes_of(content)] == [1, 2]


def test_without_seqinfo_sizes_are_those_of_the_images(root):
    add(root, ['1,4,11,11,5,6,1,1,1'], info=None, size=(20, 30))
    assert convert(root)[0]['videos'][0] == {'id': 1, 'name': 'MOT17-02', 'height': 20, 'width': 30}


def test_frames_may_be_named_as_cvat_names_them(root):
    """Names from 0, frames of gt.txt from 1."""
    add(root, ['1,4,11,21,5,6,1,1,1'], info=None, images=('frame_000000.PNG', 'frame_000001.PNG'))
    content, _ = convert(root)
    assert [(image['file_name'][-10:], image['frame_id']) for image in content['images']] == [
        ('000000.PNG', 0), ('000001.PNG', 1)]


def test_numbers_that_are_missing_stay_gaps(root):
    add(root, ['5,4,11,21,5,6,1,1,1', '2,4,11,21,5,6,1,1,1'], info=None, images=('1.jpg', '5.jpg', '10.jpg'))
    content, report = convert(root)
    assert [image['frame_id'] for image in content['images']] == [0, 4, 9]
    assert [dropped.why for dropped in report.dropped] == [
        'frame 2 is not in the video, which has frames 1 to 10 with gaps']


@pytest.mark.parametrize(('rows', 'message'), [
    (['1,4,11,21,5'], r'gt\.txt line 1 has 5 values but 6 to 10'),
    (['1 4 11 21 5 6'], 'line 1 has 1 values but 6 to 10 .*commas'),
    (['1,4,11,21,5,6', '', '1,4,x,21,5,6'], "line 3: left is 'x' but must be a number"),
    (['1.5,4,11,21,5,6'], "line 1: frame is '1.5' but must be a whole number"),
    (['1,4,1,1,5,6,1,4.57,3.1,0'], "line 1: class .* is '4.57' but must be a whole number"),
    (['1,4,11,21,5,6,1,13,1'], r'line 1 has class 13 but there are names for 1 to 12 .*--classes'),
    (['1,4,11,21,5,6,1,0,1'], 'has class 0 but there are names for 1 to 12'),
    (['1,4,11,21,5,6,1,1,1', '1,4,11,21,5,6,1,1,1'], 'has 2 boxes of pedestrian track 4 in frame 1'),
    (['1,4,11,21,5,6,1,1,1', '1,5,11,21,5,6'], r'has rows without a class but .* has rows with one'),
    (['\udcff'], r'cannot be read .*must be text in UTF-8')])
def test_rows_that_cannot_be_understood_are_an_error(root, rows, message):
    folder = add(root, [])
    (folder / 'gt' / 'gt.txt').write_text('\n'.join(rows), errors='surrogateescape')
    with pytest.raises(InputError, match=message):
        convert(root)


@pytest.mark.parametrize(('classes', 'rows', 'message'), [
    (['a', 'b'], ['1,4,1,1,5,6'], 'has no class column but the classes are a, b: name one'),
    (['a', 'a'], ['1,4,1,1,5,6,1,1,1'], 'the classes are a, a but must be different')])
def test_classes_that_do_not_fit_are_an_error(root, classes, rows, message):
    add(root, rows)
    with pytest.raises(InputError, match=message):
        convert(root, classes=classes)


@pytest.mark.parametrize(('info', 'message'), [
    (INFO.replace('seqLength=3', 'seqLength=9'), 'holds 3 images but seqinfo.ini states 9'),
    (INFO.replace('imWidth=64', 'imWidth=640'), '000001.jpg is 64x48 px but seqinfo.ini states 640x48'),
    (INFO.replace('imWidth=64', 'imWidth=wide'), "seqinfo.ini: imwidth is 'wide' but must be a whole number"),
    (INFO.replace('img1', 'frames'), 'frames is not a folder'),
    (INFO.replace('.jpg', '.png'), r'holds no image \(.png\)'),
    ('seqLength=3', r'seqinfo.ini cannot be read .*\[Sequence\]'), ('[Other]\na=1', 'seqinfo.ini cannot be read')])
def test_a_seqinfo_that_does_not_fit_is_an_error(root, info, message):
    add(root, ['1,4,11,21,5,6,1,1,1'], info=info)
    with pytest.raises(InputError, match=message):
        convert(root)


@pytest.mark.parametrize(('images', 'message'), [
    (('a.jpg',), r'a\.jpg has no number at the end of its name'), (('1.jpg', '01.jpg'), 'have the same number')])
def test_images_without_numbers_of_their_own_are_an_error(root, images, message):
    add(root, ['1,4,11,21,5,6,1,1,1'], info=None, images=images)
    with pytest.raises(InputError, match=message):
        convert(root)


def test_a_sequence_without_gt_is_refused_not_skipped(root):
    add(root, ['1,4,11,21,5,6,1,1,1'])
    (add(root, [], 'MOT17-03') / 'gt' / 'gt.txt').unlink()
    with pytest.raises(InputError, match=r'MOT17-03 has no gt/gt\.txt: add it'):
        convert(root)


def test_sequences_with_other_labels_are_an_error(root):
    for name in 'ab':
        (add(root, ['1,4,11,21,5,6,1,1,1'], name) / 'gt' / 'labels.txt').write_text(f'{name}\n')
    with pytest.raises(InputError, match=r'have different class names in gt/labels\.txt \(a; b\)'):
        convert(root)


@pytest.mark.parametrize('name', ['', 'nowhere'])
def test_a_folder_without_sequences_is_an_error(tmp_path, name):
    with pytest.raises(InputError, match='holds no sequence|is not a folder'):
        convert(tmp_path / name)


# Frames and names


@pytest.mark.parametrize(('first', 'images'), [
    (0, ('000001.jpg', '000002.jpg', '000003.jpg')), (0, ('000000.jpg', '000001.jpg', '000002.jpg')),
    (1, ('000000.jpg', '000001.jpg', '000002.jpg')), (0, ('frame_000000.jpg', 'frame_000001.jpg', 'frame_000002.jpg')),
    (1, ('17000.jpg', '17033.jpg', '17067.jpg'))])
def test_a_first_or_last_row_tells_whether_frames_count_from_0(root, first, images):
    add(root, [f'{first + k},1,{11 + k},21,5,6,1,1,1' for k in range(3)], images=images)
    content, report = convert(root)
    assert [(frame, box[0]) for frame, _, box, _ in boxes_of(content)] == [(0, 10), (1, 11), (2, 12)]
    assert [Path(image['file_name']).name for image in content['images']] == [*images]
    assert report.dropped == []


def test_a_sequence_tells_for_all(root):
    add(root, ['0,1,11,21,5,6,1,1,1'], 'MOT17-02')
    add(root, ['1,1,11,21,5,6,1,1,1'], 'MOT17-04')
    assert [frame for frame, *_ in boxes_of(convert(root)[0])] == [0, 1]


def test_sequences_that_contradict_each_other_need_an_answer(root):
    add(root, ['0,1,11,21,5,6,1,1,1'], 'MOT17-02')
    add(root, ['3,1,11,21,5,6,1,1,1'], 'MOT17-04')
    with pytest.raises(InputError, match=r'MOT17-02.*MOT17-04.*--first-frame'):
        convert(root)
    assert [frame for frame, *_ in boxes_of(convert(root, first_frame=0)[0])] == [0]


def test_images_from_0_and_rows_in_between_need_an_answer(root):
    add(root, ['1,1,11,21,5,6,1,1,1', '2,1,11,21,5,6,1,1,1'], info=None, images=[f'{k}.jpg' for k in range(4)])
    with pytest.raises(InputError, match='--first-frame'):
        convert(root)
    for first in (0, 1):
        assert [frame for frame, *_ in boxes_of(convert(root, first_frame=first)[0])] == [1 - first, 2 - first]


def test_rows_with_the_numbers_of_every_25th_image_keep_them(root):
    add(root, [f'{k},1,11,21,5,6,1,1,1' for k in (1, 26, 51)], info=None, images=['1.jpg', '26.jpg', '51.jpg'])
    assert [frame for frame, *_ in boxes_of(convert(root)[0])] == [0, 25, 50]


@pytest.mark.parametrize('name', ['MOT17-02', 'MOT16-11', 'MOT20-01', 'MOT17-13-FRCNN', 'mot17-02-dpm'])
def test_sequences_of_motchallenge_have_its_classes(root, name):
    add(root, ['1,4,11,21,5,6,1,3,1'], name)
    assert boxes_of(convert(root)[0])[0][1] == 'car'


@pytest.mark.parametrize('name', ['uav0000013_00000_v', 'dancetrack0001', 'MOT17', 'MOT15-01', 'mine-MOT17-02'])
def test_classes_of_other_sequences_are_not_guessed(root, name):
    add(root, ['1,4,11,21,5,6,1,4,0,0'], name)
    with pytest.raises(InputError, match=f'{name}.*--classes'):
        convert(root)


def test_seqinfo_says_whose_sequence_a_folder_is(root):
    add(root, ['1,4,11,21,5,6,1,3,1'], 'renamed', info=INFO.replace('{name}', 'MOT17-02'))
    assert boxes_of(convert(root)[0])[0][1] == 'car'


def test_classes_to_ignore_are_regions_of_all_others(root):
    add(root, ['1,4,11,21,5,6,1,1,1', '1,5,31,21,5,6,1,2,1'])
    content, report = convert(root, classes=['ant', 'crowd', 'bee'], ignore=['crowd'])
    assert [(item['id'], item['name']) for item in content['categories']] == [(1, 'ant'), (3, 'bee')]
    assert [(box['category_id'], box['iscrowd']) for box in content['annotations']] == [(1, 0), (1, 1), (3, 1)]
    assert report.ignored == 1


def test_only_labelled_frames_become_images(root):
    add(root, ['1,4,11,21,5,6,1,1,1', '3,4,31,21,5,6,0,1,1'])
    content, report = convert(root, labelled_frames_only=True)
    assert [image['frame_id'] for image in content['images']] == [0, 2]
    assert '1 frames without a label left out' in str(report)


corner = st.integers(0, 30)
length = st.integers(1, 18)


@given(st.lists(st.tuples(st.integers(0, 2), corner, corner, length, length), min_size=1, max_size=8))
def test_boxes_written_in_the_format_come_back(boxes):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, 'MOT')
        add(root, [f'{frame + 1},{track},{x + 1},{y + 1},{w},{h},1,1,1'
                   for track, (frame, x, y, w, h) in enumerate(boxes)])
        found = [(frame, *box) for frame, _, box, _ in boxes_of(convert(root)[0])]
    assert found == sorted(boxes, key=lambda box: box[0])


def test_time_stamps_that_become_places_in_order_are_noted(root):
    stamps = [f'{stamp}.jpg' for stamp in (1650000000100, 1650000000133, 1650000000167)]
    add(root, ['1,1,1,1,5,5,1,1', '3,1,1,1,5,5,1,1'], images=stamps)
    content, report = convert(root)
    assert [(image['file_name'], image['frame_id']) for image in content['images']] == [
        (f'MOT17-02/img1/{name}', place) for place, name in enumerate(stamps)]
    assert any('MOT17-02' in note and 'time stamps' in note for note in report.notes)


def test_numbers_of_frames_are_not_noted(root):
    add(root, ['1,1,1,1,5,5,1,1'])
    assert convert(root)[1].notes == []
