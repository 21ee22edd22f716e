"""Videos with boxes in CSV files become a CocoVID file that has every frame and every row."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.cocovid.csv_folder import HEADER, add, write_video
from tsm_det.cocovid.convert.csv_videos import convert_csv_videos
from tsm_det.errors import InputError

THERMAL = os.environ.get('TSM_DET_THERMAL')


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / 'videos'
    folder.mkdir()
    return folder


def convert(folder, **options):
    out = folder.parent / 'out' / 'all.json'
    report = convert_csv_videos(folder, out, **options)
    return json.loads(out.read_text()), report


def boxes_of(content):
    """(video, frame, label, bbox) of all annotations."""
    images = {image['id']: image for image in content['images']}
    labels = {category['id']: category['name'] for category in content['categories']}
    return [(images[box['image_id']]['file_name'], images[box['image_id']]['frame_in_file'],
             labels[box['category_id']], box['bbox']) for box in content['annotations']]


def tracks_of(content):
    return [box['instance_id'] for box in content['annotations']]


# Videos and frames


def test_the_file_is_coco_vid(folder):
    add(folder, 'a', ['1,bird,10,20,4,5'], num_frames=2)
    content, _ = convert(folder)
    shape = {'width': 64, 'height': 48}
    assert content == {
        'videos': [{'id': 1, 'name': 'a', **shape}],
        'images': [{'id': frame + 1, 'file_name': 'a.mp4', **shape, 'video_id': 1, 'frame_id': frame,
                    'frame_in_file': frame} for frame in range(2)],
        'annotations': [{'id': 1, 'image_id': 2, 'video_id': 1, 'category_id': 1, 'instance_id': 1,
                         'bbox': [10, 20, 4, 5], 'area': 20, 'iscrowd': 0, 'occluded': False, 'generated': False}],
        'categories': [{'id': 1, 'name': 'bird'}]}


def test_every_frame_is_an_image_with_a_box_or_without(folder):
    add(folder, 'a', ['3,bird,10,20,4,5'], num_frames=7)
    add(folder, 'b', num_frames=5)
    content, report = convert(folder)
    assert [(image['video_id'], image['frame_id']) for image in content['images']] == [
        *((1, frame) for frame in range(7)), *((2, frame) for frame in range(5))]
    assert (report.videos, report.frames) == (2, 12)


def test_ids_count_from_one_over_the_file(folder):
    for name in 'abc':
        add(folder, name, ['0,bird,1,1,4,4', '0,bird,30,30,4,4', '1,bird,1,1,4,4'])
    content, _ = convert(folder)
    for key, number in (('videos', 3), ('images', 18), ('annotations', 9)):
        assert [item['id'] for item in content[key]] == list(range(1, number + 1))
    assert tracks_of(content) == [1, 2, 1, 3, 4, 3, 5, 6, 5]


@pytest.mark.parametrize('suffix', ['.mp4', '.MP4', '.mov', '.avi', '.mkv'])
def test_common_containers_are_read(folder, suffix):
    add(folder, 'a', ['0,bird,1,1,4,4'])
    write_video(folder / f'b{suffix.lower()}', num_frames=9)
    (folder / f'b{suffix.lower()}').rename(folder / f'b{suffix}')
    (folder / 'b.CSV').write_text(HEADER)
    content, _ = convert(folder)
    assert sum(image['file_name'] == f'b{suffix}' for image in content['images']) == 9


@pytest.mark.parametrize('num_frames', [1, 2, 13, 40])
def test_frames_are_counted_exactly(folder, num_frames):
    add(folder, 'a', ['0,bird,1,1,4,4'], num_frames=num_frames)
    with av.open(str(folder / 'a.mp4')) as container:
        decoded = sum(1 for _ in container.decode(video=0))
    assert len(convert(folder)[0]['images']) == decoded == num_frames


def test_a_container_that_lies_about_its_frames_is_counted_exactly(folder):
    write_video(folder / 'a.mkv', num_frames=8, times=[0, 1, 2, 3, 40, 41, 42, 90])
    assert cv2.VideoCapture(str(folder / 'a.mkv')).get(cv2.CAP_PROP_FRAME_COUNT) != 8
    (folder / 'a.csv').write_text(HEADER + '\n0,bird,1,1,4,4\n')
    assert len(convert(folder)[0]['images']) == 8


def test_a_file_cut_short_is_refused(folder):
    add(folder, 'a', ['0,bird,1,1,4,4'], num_frames=30)
    whole = (folder / 'a.mp4').read_bytes()
    (folder / 'a.mp4').write_bytes(whole[:len(whole) // 2])
    with pytest.raises(InputError, match=r'a.mp4 .*fetch it again'):
        convert(folder)


def test_sizes_are_those_displayed(folder):
    add(folder, 'phone', ['0,bird,1,50,4,10'], size=(48, 64))
    turned = bytearray((folder / 'phone.mp4').read_bytes())
    matrix = turned.index(b'tkhd') + 4 + 40  # of the track header box, version 0: a rotation by 90 degrees
    turned[matrix:matrix + 36] = np.array([0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30], '>i4').tobytes()
    (folder / 'phone.mp4').write_bytes(turned)
    content, _ = convert(folder)
    assert (content['videos'][0]['width'], content['videos'][0]['height']) == (48, 64)
    assert content['annotations'][0]['bbox'] == [1, 50, 4, 10]


def test_no_absolute_path_gets_into_the_file(folder):
    add(folder, 'a', ['0,bird,1,1,4,4'])
    assert str(folder.parent) not in json.dumps(convert(folder)[0])


# Rows


def test_rows_are_kept_one_to_one_in_order_of_time(folder):
    add(folder, 'a', ['2,bird,1.5,2.25,4,5', '0,drone,30.1,20.2,16.16,12.62', '0,bird,7,8,9,10', '2,bird,1.5,2.25,4,5'])
    content, report = convert(folder)
    assert boxes_of(content) == [('a.mp4', 0, 'drone', [30.1, 20.2, 16.16, 12.62]), ('a.mp4', 0, 'bird', [7, 8, 9, 10]),
                                 ('a.mp4', 2, 'bird', [1.5, 2.25, 4, 5]), ('a.mp4', 2, 'bird', [1.5, 2.25, 4, 5])]
    assert (report.boxes, report.clipped, report.dropped) == ({'bird': 3, 'drone': 1}, 0, [])


@pytest.mark.parametrize(('box', 'clipped'), [
    ('-3,-4,10,10', [0, 0, 7, 6]), ('60,40,10,10', [60, 40, 4, 8]), ('-10,-10,100,100', [0, 0, 64, 48]),
    ('60,40,4,8', [60, 40, 4, 8])])
def test_a_box_over_the_edge_is_clipped(folder, box, clipped):
    add(folder, 'a', [f'0,bird,{box}'])
    content, report = convert(folder)
    annotation, = content['annotations']
    assert (annotation['bbox'], annotation['area']) == (clipped, clipped[2] * clipped[3])
    assert report.clipped == (box != '60,40,4,8')


@pytest.mark.parametrize(('row', 'why'), [
    ('0,bird,1,1,0,5', 'empty'), ('0,bird,1,1,5,-5', 'empty'), ('0,bird,64,1,5,5', 'outside the frame of 64x48 px'),
    ('0,bird,-5,1,5,5', 'outside'), ('0,bird,1,200,5,5', 'outside'), ('0,bird,nan,1,5,5', 'not finite'),
    ('0,bird,1,1,NaN,5', 'not finite'), ('0,bird,1,1,inf,5', 'not finite'), ('6,bird,1,1,5,5', 'frames 0 to 5'),
    ('-1,bird,1,1,5,5', 'frame -1 is not in the video')])
def test_a_row_that_cannot_be_kept_is_dropped_and_listed(folder, row, why):
    add(folder, 'a', ['0,bird,1,1,4,4', row, '1,bird,1,1,4,4'])
    content, report = convert(folder)
    assert len(content['annotations']) == 2
    dropped, = report.dropped
    assert (dropped.video, dropped.line) == ('a', 3) and why in dropped.why


def test_a_spreadsheet_may_write_the_file(folder):
    add(folder, 'a')
    (folder / 'a.csv').write_bytes(
        '\ufefflabel,score,height,width,y,x,frame\r\n"bird, große",0.5,5.0,4,20,10,3.00\r\n'.encode())
    assert boxes_of(convert(folder)[0]) == [('a.mp4', 3, 'bird, große', [10, 20, 4, 5])]


def test_the_same_folder_gives_the_same_file(folder):
    add(folder, 'a', ['0,bird,1,1,4,4', '0,drone,1,1,4,4', '0,fish,1,1,4,4'])
    assert json.dumps(convert(folder)[0]) == json.dumps(convert(folder)[0])


# Categories


def test_categories_are_the_sorted_labels(folder):
    add(folder, 'a', ['0,zebra,1,1,4,4', '0,ant,20,20,4,4'])
    add(folder, 'b', ['0,bird,1,1,4,4'])
    assert [category['name'] for category in convert(folder)[0]['categories']] == ['ant', 'bird', 'zebra']


def test_classes_force_an_order(folder):
    add(folder, 'a', ['0,zebra,1,1,4,4', '0,ant,20,20,4,4'])
    content, report = convert(folder, classes=['zebra', 'whale', 'ant'])
    assert [(item['id'], item['name']) for item in content['categories']] == [(1, 'zebra'), (2, 'whale'), (3, 'ant')]
    assert [label for _, _, label, _ in boxes_of(content)] == ['zebra', 'ant']
    assert report.boxes == {'zebra': 1, 'whale': 0, 'ant': 1}


# Frames that count from 1, and frames that nobody labelled


def rows_from(first, count, step=1):
    return [f'{first + k},bird,{10 + k},10,6,6' for k in range(0, count, step)]


@pytest.mark.parametrize('first', [0, 1])
def test_a_first_or_last_row_tells_whether_frames_count_from_0(folder, first):
    add(folder, 'a', rows_from(first, 6))
    add(folder, 'b', rows_from(first + 2, 2))
    content, report = convert(folder)
    assert [(frame, box[0]) for video, frame, _, box in boxes_of(content) if video == 'a.mp4'] == [
        (k, 10 + k) for k in range(6)]
    assert [frame for video, frame, *_ in boxes_of(content) if video == 'b.mp4'] == [2, 3]
    assert report.dropped == []


@pytest.mark.parametrize('rows', [rows_from(1, 4), rows_from(1, 5, step=2)])
def test_rows_that_begin_with_frame_1_need_an_answer(folder, rows):
    add(folder, 'a', rows)
    with pytest.raises(InputError, match=r'a\.csv.*--first-frame'):
        convert(folder)
    for first in (0, 1):
        assert boxes_of(convert(folder, first_frame=first)[0])[0][1] == 1 - first


def test_files_that_contradict_each_other_need_an_answer(folder):
    add(folder, 'a', rows_from(0, 6))
    add(folder, 'b', rows_from(1, 6))
    with pytest.raises(InputError, match=r'a\.csv.*b\.csv.*--first-frame'):
        convert(folder)
    assert len(convert(folder, first_frame=0)[1].dropped) == 1


def test_only_labelled_frames_become_images(folder):
    add(folder, 'a', rows_from(0, 6, step=2))
    content, _ = convert(folder, labelled_frames_only=True)
    assert [(image['frame_id'], image['frame_in_file']) for image in content['images']] == [(0, 0), (2, 2), (4, 4)]


def test_labels_to_ignore_are_regions_and_no_category(folder):
    add(folder, 'a', ['0,bird,10,10,6,6', '0,crowd,30,10,9,9'])
    content, report = convert(folder, ignore=['crowd'])
    assert [item['name'] for item in content['categories']] == ['bird']
    assert [box['iscrowd'] for box in content['annotations']] == [0, 1]
    assert report.ignored == 1


# Tracks


def test_tracks_of_minus_1_are_linked(folder):
    add(folder, 'a', [f'{frame},bird,{10 + 30 * k},10,6,6,-1' for frame in range(2) for k in range(2)],
        header=f'{HEADER},track')
    assert tracks_of(convert(folder)[0]) == [1, 2, 1, 2]


def test_boxes_are_linked_into_tracks_within_a_label(folder):
    add(folder, 'a', [f'{frame},{row}' for frame in range(5) for row in (
        f'bird,{10 + frame},10,6,6', f'drone,{10 + frame},10,6,6', f'bird,40,{30 - frame},6,6')])
    content, report = convert(folder)
    assert tracks_of(content) == [1, 2, 3] * 5
    assert report.tracks == {'bird': 2, 'drone': 1}


def test_the_gap_a_track_survives_can_be_set(folder):
    add(folder, 'a', ['0,bird,10,10,6,6', '4,bird,10,10,6,6'])
    assert [tracks_of(convert(folder, max_gap=gap)[0]) for gap in (2, 3)] == [[1, 2], [1, 1]]


def test_a_track_column_wins_over_linking(folder):
    rows = ['0,bird,10,10,6,6,x', '0,bird,40,30,6,6,y', '1,bird,10,10,6,6,y', '1,bird,40,30,6,6,x', '5,bird,1,1,6,6,x']
    add(folder, 'a', rows, header=f'{HEADER},track')
    add(folder, 'b', rows, header=f'{HEADER},track')
    content, report = convert(folder)
    assert tracks_of(content) == [1, 2, 2, 1, 1, 3, 4, 4, 3, 3]
    assert report.tracks == {'bird': 4}


# Bad input


@pytest.mark.parametrize(('text', 'message'), [
    ('', 'has no column frame, label, x, y, width, height'),
    ('frame,label,x,y,depth\n', 'has no column width, height'),
    (f'{HEADER}\n0,bird,1,1,4,4\n0,bird,one,1,4,4\n', r"line 3: x is 'one' but must be a number"),
    (f'{HEADER}\n0,bird,,1,4,4\n', r"line 2: x is ''"),
    (f'{HEADER}\n0.5,bird,1,1,4,4\n', r"frame is '0.5' but must be a whole number"),
    (f'{HEADER}\nnan,bird,1,1,4,4\n', 'must be a whole number'),
    (f'{HEADER}\n0,bird,1,1,4\n', 'line 2 has more or fewer values'),
    (f'{HEADER}\n0,bird,1,5,1,5,4,4\n', 'line 2 has more or fewer values'),
    (f'{HEADER}\n0, ,1,1,4,4\n', 'line 2 has no label'),
    (f'{HEADER},track\n0,bird,1,1,4,4,7\n0,bird,1,1,4,4,\n', 'line 3 has no label or no track'),
    (f'{HEADER},track\n0,bird,1,1,4,4,7\n0,bird,9,9,4,4,7\n', '2 boxes of bird track 7 in frame 0')])
def test_a_csv_file_that_cannot_be_understood_is_an_error(folder, text, message):
    add(folder, 'a')
    (folder / 'a.csv').write_text(text)
    with pytest.raises(InputError, match=message):
        convert(folder)


def test_a_csv_file_in_another_encoding_is_an_error(folder):
    add(folder, 'a')
    (folder / 'a.csv').write_bytes(f'{HEADER}\n0,großer Vogel,1,1,4,4\n'.encode('latin-1'))
    with pytest.raises(InputError, match='save it as CSV in UTF-8'):
        convert(folder)


def test_a_video_without_csv_file_is_refused_not_skipped(folder):
    add(folder, 'a', ['0,bird,1,1,4,4'])
    write_video(folder / 'b.mp4')
    with pytest.raises(InputError, match='no CSV file for the video b: add it'):
        convert(folder)


def test_a_csv_file_without_video_is_refused_not_skipped(folder):
    add(folder, 'a', ['0,bird,1,1,4,4'])
    (folder / 'b.csv').write_text(HEADER)
    with pytest.raises(InputError, match=r'no video for b\.csv: add it'):
        convert(folder)


@pytest.mark.parametrize(('name', 'kind'), [('a.mkv', 'video'), ('a.CSV', 'CSV file')])
def test_two_files_of_one_name_are_refused(folder, name, kind):
    add(folder, 'a', ['0,bird,1,1,4,4'])
    shutil.copy(folder / f'a{".mp4" if kind == "video" else ".csv"}', folder / name)
    with pytest.raises(InputError, match=f'another {kind} with the name of {name}'):
        convert(folder)


def test_other_and_hidden_files_are_left_alone(folder):
    add(folder, 'a', ['0,bird,1,1,4,4'])
    (folder / 'README.txt').write_text('')
    (folder / '._a.mp4').write_text('')
    assert convert(folder)[1].videos == 1


def test_a_broken_video_is_an_error(folder):
    add(folder, 'a', ['0,bird,1,1,4,4'])
    (folder / 'a.mp4').write_bytes(b'not a video')
    with pytest.raises(InputError, match='a.mp4 cannot be read as a video'):
        convert(folder)


def test_an_unknown_label_is_an_error(folder):
    add(folder, 'a', ['0,bird,1,1,4,4', '1,brid,1,1,4,4'])
    with pytest.raises(InputError, match=r"a.csv line 3 has the label 'brid', .* bird, ant"):
        convert(folder, classes=['bird', 'ant'])


@pytest.mark.parametrize('classes', [None, [], ['bird', 'bird']])
def test_classes_need_to_be_different_and_at_least_one(folder, classes):
    add(folder, 'a')
    with pytest.raises(InputError, match='no box|alike'):
        convert(folder, classes=classes)


@pytest.mark.parametrize('name', ['', 'nowhere'])
def test_a_folder_without_videos_is_an_error(folder, name):
    with pytest.raises(InputError, match=r'holds no video|not a folder'):
        convert(folder / name)


def test_an_error_leaves_the_earlier_file_alone(folder):
    add(folder, 'a', ['0,bird,1,1,4,4'])
    before, _ = convert(folder)
    (folder / 'a.mp4').write_bytes(b'not a video')
    with pytest.raises(InputError):
        convert(folder)
    out = folder.parent / 'out'
    assert json.loads((out / 'all.json').read_text()) == before
    assert [path.name for path in out.iterdir()] == ['all.json']


def test_writing_that_fails_half_way_leaves_the_earlier_file_alone(folder, monkeypatch):
    def fail(*_):
        raise OSError('no space left')

    add(folder, 'a', ['0,bird,1,1,4,4'])
    before, _ = convert(folder)
    (folder / 'a.csv').write_text(HEADER + '\n0,bird,9,9,4,4')
    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(InputError, match=r'cannot be written \(no space left\)'):
        convert(folder)
    out = folder.parent / 'out'
    assert json.loads((out / 'all.json').read_text()) == before
    assert [path.name for path in out.iterdir()] == ['all.json']


def test_a_file_that_cannot_be_written_is_an_error(folder):
    add(folder, 'a', ['0,bird,1,1,4,4'])
    for out in (folder, folder / 'a.csv' / 'all.json'):
        with pytest.raises(InputError, match='cannot be written'):
            convert_csv_videos(folder, out)
    assert sorted(path.name for path in folder.iterdir()) == ['a.csv', 'a.mp4']


@pytest.mark.slow
@pytest.mark.skipif(not THERMAL, reason='TSM_DET_THERMAL names no folder with train/, val/ and scenes.csv')
@pytest.mark.parametrize(('part', 'videos', 'frames', 'boxes'), [
    ('train', 136, 42571, 45408), ('val', 56, 17527, 18778)])
def test_thermal_videos_are_whole(tmp_path, part, videos, frames, boxes):
    report = convert_csv_videos(Path(THERMAL, part), tmp_path / 'all.json')
    content = json.loads((tmp_path / 'all.json').read_text())
    assert (report.videos, report.frames) == (videos, frames) == (len(content['videos']), len(content['images']))
    assert report.boxes.total() + len(report.dropped) == boxes
    assert [item['name'] for item in content['categories']] == ['AIRPLANE', 'BIRD', 'DRONE', 'HELICOPTER']
    tracks = Counter(video for video, _ in {(box['video_id'], box['instance_id']) for box in content['annotations']})
    assert sum(count == 1 for count in tracks.values()) > 0.75 * videos


@pytest.mark.parametrize(('rows', 'is_guess'), [(rows_from(3, 3), True), (rows_from(1, 1), True),
                                                (rows_from(0, 3), False), (rows_from(2, 5), False)])
def test_a_count_that_no_row_shows_is_said(folder, rows, is_guess):
    add(folder, 'a', rows)
    notes = ' '.join(convert(folder)[1].notes)
    assert ('--first-frame' in notes) == is_guess
    assert '--first-frame' not in ' '.join(convert(folder, first_frame=0)[1].notes)
