"""Each thing that can be wrong with a CocoVID file is named."""

import copy
import json
import math
import os
import re
from pathlib import Path

import pytest

from tests.cocovid.csv_folder import add
from tests.cocovid.image_folder import write_images
from tsm_det.cocovid.check import check_file
from tsm_det.cocovid.check_report import list_ids
from tsm_det.cocovid.convert.csv_videos import convert_csv_videos
from tsm_det.errors import InputError

THERMAL = os.environ.get('TSM_DET_THERMAL')


@pytest.fixture
def sound(tmp_path):
    """The content of a file without a problem: two videos of three images, a bird in each of them."""
    write_images(tmp_path, [f'{video}/{frame}.jpg' for video in 'ab' for frame in range(3)])
    return {
        'videos': [{'id': 1, 'name': 'a'}, {'id': 2, 'name': 'b'}],
        'images': [{'id': 3 * video + frame + 1, 'file_name': f'{"ab"[video]}/{frame}.jpg', 'width': 64, 'height': 48,
                    'video_id': video + 1, 'frame_id': frame} for video in range(2) for frame in range(3)],
        'annotations': [{'id': image + 1, 'image_id': image + 1, 'video_id': image // 3 + 1, 'category_id': 1,
                         'instance_id': image // 3 + 1, 'bbox': [10 + image, 10, 8, 8], 'area': 64, 'iscrowd': 0}
                        for image in range(6)],
        'categories': [{'id': 1, 'name': 'bird'}]}


@pytest.fixture
def check(tmp_path):
    def check(content, **options):
        (tmp_path / 'all.json').write_text(json.dumps(content))
        return check_file(tmp_path / 'all.json', **options)
    return check


def change(content, what, place, **keys):
    """The same content with keys of a record changed; None removes one."""
    content = copy.deepcopy(content)
    record = content[what][place]
    record.update(keys)
    for key in [key for key, value in keys.items() if value is None]:
        del record[key]
    return content


def problems_of(report):
    return [str(problem) for problem in report.problems]


def test_a_sound_file_has_no_problem(sound, check):
    report = check(sound, every_frame=True)
    assert (report.exit_status, report.problems, report.notes) == (0, [], [])
    assert str(report).endswith('no problems')


@pytest.mark.parametrize(('what', 'keys', 'message'), [
    ('images', {'width': None}, 'image 2: has no width'),
    ('images', {'file_name': None}, 'image 2: has no file_name'),
    ('images', {'frame_id': None}, 'image 2: has a video_id but no frame_id'),
    ('images', {'id': None}, 'image #1: has no id'),
    ('images', {'height': '48'}, "image 2: height is '48' but must be a whole number from 1"),
    ('images', {'frame_id': -1}, 'image 2: frame_id is -1 but must be a whole number from 0'),
    ('images', {'video_id': 9}, 'image 2: video_id 9'),
    ('images', {'frame_id': 0}, 'image 2: frame_id 0 of video 1 is that of image 1'),
    ('images', {'id': 1}, 'image 1: images[1] has the id of another'),
    ('images', {'file_name': 'a/9.jpg'}, 'image 2: {folder}/a/9.jpg is missing'),
    ('images', {'width': 640}, 'image 2: the file states 640x48 px but a/1.jpg has 64x48'),
    ('images', {'frame_in_file': 4}, 'image 2: has a frame_in_file, unlike most images'),
    ('videos', {'id': 1}, 'video 1: videos[1] has the id of another'),
    ('videos', {'id': None}, 'video #1: has no id'),
    ('annotations', {'id': 1}, 'annotation 1: annotations[1] has the id of another'),
    ('annotations', {'image_id': 99}, 'annotation 2: image_id 99'),
    ('annotations', {'category_id': 7}, 'annotation 2: category_id 7'),
    ('annotations', {'video_id': 2}, 'annotation 2: video_id is 2 but its image 2 is of video 1'),
    ('annotations', {'bbox': [1, 2, 3]}, 'annotation 2: bbox is [1, 2, 3] but must be four numbers'),
    ('annotations', {'bbox': [1, 2, 3, math.nan]}, 'annotation 2: box not finite: bbox is [1, 2, 3, nan]'),
    ('annotations', {'bbox': [1, 2, math.inf, 3]}, 'annotation 2: box not finite'),
    ('annotations', {'bbox': [1, 2, 0, 3]}, 'annotation 2: box without area: bbox is [1, 2, 0, 3]'),
    ('annotations', {'bbox': [1, 2, 9, -3]}, 'annotation 2: box without area'),
    ('annotations', {'bbox': [64, 2, 9, 3]}, 'annotation 2: box outside its image: bbox is [64, 2, 9, 3] but the'),
    ('annotations', {'bbox': [1, 2, .9, 3]}, 'annotation 2: box below 1 px: bbox is [1, 2, 0.9, 3]'),
    ('annotations', {'area': 65}, 'annotation 2: area is not width times height: area is 65 but the box has 64'),
    ('annotations', {'area': None}, 'annotation 2: has no area'),
    ('annotations', {'iscrowd': None}, 'annotation 2: has no iscrowd'),
    ('annotations', {'instance_id': None}, 'annotation 2: instance_id is missing: number tracks from 1'),
    ('annotations', {'instance_id': 0}, 'annotation 2: instance_id is 0'),
    ('annotations', {'instance_id': 2}, 'annotation 4: instance_id 2 is of video 2 here and of 1 in annotation 2'),
    ('annotations', {'image_id': 1}, 'annotation 2: instance_id 1 is that of annotation 1 on the same image')])
def test_a_problem_is_named(sound, check, tmp_path, what, keys, message):
    report = check(change(sound, what, 1, **keys))
    assert report.exit_status == 1
    assert any(problem.startswith(message.format(folder=tmp_path)) for problem in problems_of(report)), str(report)


def test_a_track_that_changes_its_category_is_named(sound, check):
    sound['categories'].append({'id': 2, 'name': 'ant'})
    report = check(change(sound, 'annotations', 1, category_id=2))
    assert problems_of(report) == ['annotation 2: instance_id 1 is of category 2 here and of 1 in annotation 1']


@pytest.mark.parametrize(('record', 'message'), [
    ({'id': 1, 'name': 'ant'}, 'category 1: categories[1] has the id of another'),
    ({'id': 2, 'name': 'bird'}, 'category 2: has the name bird of category 1'), ({'id': 2}, 'category 2: has no name'),
    (7, 'category #1: is 7')])
def test_a_category_that_is_wrong_is_named(sound, check, record, message):
    sound['categories'].append(record)
    assert problems_of(check(sound))[0].startswith(message)


@pytest.mark.parametrize('what', ['videos', 'images', 'annotations', 'categories'])
def test_a_list_that_is_missing_is_named(sound, check, what):
    del sound[what]
    assert problems_of(check(sound))[0] == f'list {what}: is missing but a list is required'


def test_an_image_that_cannot_be_decoded_is_named(sound, check, tmp_path):
    (tmp_path / 'a' / '0.jpg').write_text('no image')
    assert problems_of(check(sound))[0].startswith(f'image 1: {tmp_path}/a/0.jpg cannot be read')


def test_by_default_three_frames_are_decoded(sound, check, tmp_path):
    write_images(tmp_path, ['a/3.jpg', 'a/4.jpg'])
    for frame in (3, 4):
        sound['images'].append(
            {**sound['images'][0], 'id': frame + 10, 'frame_id': frame, 'file_name': f'a/{frame}.jpg'})
    (tmp_path / 'a' / '1.jpg').write_text('no image')
    assert check(sound).exit_status == 0
    assert check(sound, every_frame=True).exit_status == 1


def test_a_still_needs_no_track(sound, check):
    for key in ('video_id', 'frame_id'):
        del sound['images'][0][key]
    for key in ('video_id', 'instance_id'):
        del sound['annotations'][0][key]
    assert check(sound).exit_status == 0


# Video files


@pytest.fixture
def converted(tmp_path):
    """The content of a file with one mp4 of 6 frames beside it."""
    add(tmp_path, 'a', ['0,bird,1,1,4,4', '1,bird,2,1,4,4'])
    convert_csv_videos(tmp_path, tmp_path / 'all.json')
    return json.loads((tmp_path / 'all.json').read_text())


@pytest.mark.parametrize('every_frame', [False, True])
def test_a_converted_video_has_no_problem(converted, check, every_frame):
    assert check(converted, every_frame=every_frame).exit_status == 0


@pytest.mark.parametrize(('place', 'keys', 'message'), [
    (5, {'frame_in_file': 6}, 'image 6: frame_in_file is 6 but a.mp4 has frames 0 to 5'),
    (0, {'height': 50}, 'image 1: the file states 64x50 px but a.mp4 has 64x48'),
    (2, {'frame_in_file': None}, 'image 3: has no frame_in_file, unlike most images')])
def test_a_problem_with_a_video_is_named(converted, check, place, keys, message):
    problems = problems_of(check(change(converted, 'images', place, **keys)))
    assert any(problem.startswith(message) for problem in problems)


def test_a_video_that_is_damaged_or_missing_is_named_once(converted, check, tmp_path):
    whole = (tmp_path / 'a.mp4').read_bytes()
    (tmp_path / 'a.mp4').write_bytes(whole[:len(whole) // 2])
    damaged, = problems_of(check(converted))
    (tmp_path / 'a.mp4').unlink()
    missing, = problems_of(check(converted))
    assert damaged.startswith(f'file a.mp4: {tmp_path}/a.mp4 ')
    assert missing.startswith(f'file a.mp4: {tmp_path}/a.mp4 cannot be opened (No such file')


# Notes


def test_gaps_are_noted_with_what_to_set(sound, check):
    for image in sound['images']:
        image['frame_id'] *= 5
    note, = check(sound).notes
    assert note == ('2 videos (a, b) have gaps in their frame ids, the largest is 5 in a: '
                    'the largest usual step is 5, so set max_gap=5 of ConsecutiveFrames')


@pytest.mark.parametrize(('first', 'second', 'gap'), [
    ([0, 5, 10], [0, 10, 20], 10), ([0, 1, 2], [0, 5, 10], 5), ([0, 33, 67], [0, 33, 66], 34),
    ([0, 5, 15], [0, 5, 10], 5)])
def test_the_largest_usual_gap_is_what_to_set(sound, check, first, second, gap):
    for image, frame_id in zip(sound['images'], first + second, strict=True):
        image['frame_id'] = frame_id
    assert f'max_gap={gap} ' in check(sound).notes[0]


def test_a_single_gap_is_noted(sound, check):
    sound['images'][5]['frame_id'] = 9
    assert check(sound).notes == ['1 videos (b) have gaps in their frame ids, the largest is 8 in b: clips do not span '
                                  'a gap unless max_gap of ConsecutiveFrames is set, to 8 for all']


def test_what_is_allowed_is_noted(sound, check):
    sound['categories'].append({'id': 4, 'name': 'ant'})
    sound['videos'].append({'id': 9})
    sound['images'].reverse()
    sound['annotations'][3].update(bbox=[60, 10, 8, 8])
    report = check(sound)
    assert report.exit_status == 0
    assert report.notes == ['2 videos (b, a) list their frames out of order: they will be sorted by frame_id',
                            '1 videos (video 9) have no frame',
                            '1 boxes reach over the edge of their frame, by 4 px at most (annotation 4)',
                            '1 categories have no box: ant (ids 4)']


# The report


def test_the_first_20_problems_are_named_in_full_and_all_others_by_id(sound, check):
    sound['annotations'] += [{**sound['annotations'][0], 'id': 10 + k, 'instance_id': 10 + k, 'area': 1}
                             for k in range(25)]
    lines = str(check(sound)).splitlines()
    first = lines.index('25 problems')
    assert len(lines[first:]) == 1 + 20 + 2
    assert lines[-2:] == ['  and 5 more:', '  area is not width times height (5): annotations 30-34']


def test_ids_are_listed_in_runs():
    assert list_ids([7, 3, 4, 5, 'a.mp4', 8, 10]) == '3-5, 7, 8, 10, a.mp4'


def test_the_table_says_what_is_there(sound, check):
    sound['categories'].append({'id': 2, 'name': 'ant'})
    sound['annotations'][5].update(category_id=2, instance_id=3, bbox=[0, 0, 64, 40], area=2560)
    del sound['annotations'][4]
    lines = [re.split(r'\s{2,}', line) for line in str(check(sound)).splitlines()]
    assert lines[1] == ['all.json', '2', '0', '6', '3 / 3 / 3', '1 (16.7 %)']
    assert lines[5:8] == [['bird', '4', '0', '2', '8.0', '100.0', '0.0', '0.0', '0.0', '25.0', '50.0', '25.0', '1.0'],
                          ['ant', '1', '0', '1', '50.6', '0.0', '100.0', '0.0', '0.0', '0.0', '0.0', '100.0', '-'],
                          ['all', '5', '0', '3', '8.0', '80.0', '20.0', '0.0', '0.0', '20.0', '40.0', '40.0', '1.0']]


def test_ignored_regions_have_a_column_of_their_own(sound, check):
    sound['categories'].append({'id': 2, 'name': 'ant'})
    sound['annotations'][5].update(category_id=2, instance_id=3, iscrowd=1)
    report = check(sound)
    lines = [re.split(r'\s{2,}', line) for line in str(report).splitlines()]
    assert lines[1][-1] == '1 (16.7 %)', 'frames without a box'
    assert lines[3][1:4] == ['boxes', 'ignored', 'tracks']
    assert [line[:4] for line in lines[5:8]] == [
        ['bird', '5', '0', '2'], ['ant', '0', '1', '0'], ['all', '5', '1', '2']]
    assert any('ant' in note for note in report.notes), 'a class of ignored regions alone has no box'


@pytest.mark.parametrize('kept', [0, 2])
def test_a_file_without_a_box_is_named(sound, check, kept):
    sound['annotations'] = [{**annotation, 'iscrowd': 1} for annotation in sound['annotations'][:kept]]
    problem, = check(sound).problems
    assert (problem.what, problem.id) == ('list', 'annotations') and str(kept) in problem.text


def test_an_empty_file_is_named_and_has_a_table(check):
    report = check({'videos': [], 'images': [], 'annotations': [], 'categories': []})
    assert [problem.id for problem in report.problems] == ['categories', 'images', 'annotations']
    assert report.table


@pytest.mark.parametrize(('text', 'images', 'message'), [
    ('{', None, 'cannot be read as JSON'), ('7', None, 'holds a int but'), ('{}', 'none', 'none is not a folder')])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path, text, images, message):
    (tmp_path / 'all.json').write_text(text)
    with pytest.raises(InputError, match=message):
        check_file(tmp_path / 'all.json', images and tmp_path / images)


@pytest.mark.slow
@pytest.mark.skipif(not THERMAL, reason='TSM_DET_THERMAL names no folder with train/, val/ and scenes.csv')
def test_the_thermal_videos_have_no_problem(tmp_path):
    convert_csv_videos(Path(THERMAL, 'val'), tmp_path / 'val.json')
    report = check_file(tmp_path / 'val.json', Path(THERMAL, 'val'))
    assert (report.problems, report.notes) == ([], [])
    assert re.search(r'\nval\.json +56 +0 +17527 ', str(report))
    assert [line.split()[:2] for line in str(report).splitlines()[5:10]] == [
        ['AIRPLANE', '4390'], ['BIRD', '4722'], ['DRONE', '5349'], ['HELICOPTER', '4317'], ['all', '18778']]


def test_no_two_columns_of_a_table_have_one_name(sound, check):
    report = str(check(sound)).splitlines()
    heads = [re.split(r'\s{2,}', line.strip()) for line in report if re.match(r' +(videos|boxes) ', line)]
    assert [len(head) for head in heads] == [5, 12]
    assert [len(set(head)) for head in heads] == [5, 12]


def test_stills_that_share_a_track_number_do_not_move(sound, check):
    for image in sound['images']:
        image.update(video_id=None, frame_id=None)
        image.pop('frame_in_file', None)
    sound['videos'] = []
    for annotation in sound['annotations']:
        annotation.update(instance_id=1)
        annotation.pop('video_id', None)
    row = next(line.split() for line in str(check(sound)).splitlines() if line.startswith('bird '))
    assert row[1] == row[3] and row[-2:] == ['100.0', '-']
