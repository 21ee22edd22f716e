"""Videos labelled in Label Studio become a CocoVID file."""

import json

import pytest

from tests.cocovid.converted import boxes_of, converted
from tests.cocovid.csv_folder import write_video
from tsm_det.cocovid.convert.label_studio import convert_label_studio
from tsm_det.errors import InputError


def key(frame, x, enabled=True, **more):
    return {'frame': frame, 'enabled': enabled, 'rotation': 0, 'x': x, 'y': 25, 'width': 12.5, 'height': 25,
            'time': 0.1, **more}


def region(*sequence, name='aXqXq1', label='Bird', **more):
    return {'id': name, 'type': 'videorectangle', 'from_name': 'box', 'to_name': 'video', 'meta': {},
            'value': {'framesCount': 8, 'duration': 0.8, 'sequence': list(sequence), 'labels': [label], **more}}


def task(*results, video='/data/upload/1/0a1b2c3d-clip.mp4', **annotation):
    return {'id': 1, 'data': {'video': video}, 'predictions': [], 'project': 1,
            'annotations': [{'id': 2, 'was_cancelled': False, 'result': list(results), **annotation}]}


@pytest.fixture
def folder(tmp_path):
    write_video(tmp_path / 'clip.mp4', num_frames=8)
    return tmp_path


def convert(folder, *tasks, **options):
    (folder / 'project.json').write_text(json.dumps(tasks))
    return converted(convert_label_studio, folder / 'project.json', folder, out=folder / 'all.json', **options)


def test_frames_count_from_1_and_key_frames_are_interpolated_until_a_span_ends(folder):
    # 64x48 px: x 0 to 50 % is 0 to 32 px in 4 frames; y 25 % is 12; width 12.5 % is 8; height 25 % is 12.
    content, report = convert(folder, task(region(key(2, 0), key(6, 50, enabled=False))))
    assert boxes_of(content) == [('clip', frame, 'Bird', [x, 12, 8, 12], 1)
                                 for frame, x in ((1, 0), (2, 8), (3, 16), (4, 24), (5, 32))]
    assert [image['frame_in_file'] for image in content['images']] == list(range(8))
    assert report.frames == 8


def test_the_last_key_frame_holds_until_the_end_if_it_is_enabled(folder):
    content, _ = convert(folder, task(region(key(7, 50))))
    assert [(box[1], box[3][0]) for box in boxes_of(content)] == [(6, 32), (7, 32)]


def test_a_region_may_come_back_as_the_same_track(folder):
    twice = region(key(1, 0), key(2, 0, enabled=False), key(5, 50), key(6, 50, enabled=False))
    content, _ = convert(folder, task(twice, region(key(5, 10), key(6, 10, enabled=False), name='other')))
    assert [(box[1], box[-1]) for box in boxes_of(content)] == [(0, 1), (1, 1), (4, 1), (4, 2), (5, 1), (5, 2)]


def test_key_frames_may_come_in_any_order_and_be_one(folder):
    content, _ = convert(folder, task(region(key(6, 50, enabled=False), key(2, 0))))
    assert [box[1] for box in boxes_of(content)] == [1, 2, 3, 4, 5]


def test_a_rotated_box_becomes_the_upright_one_around_it(folder):
    # A quarter turn about the top left corner (32, 12): 8 wide and 12 high becomes 12 wide, to the left, and 8 high.
    content, _ = convert(folder, task(region(key(8, 50, rotation=90))))
    assert boxes_of(content)[0][3] == [20, 12, 12, 8]


@pytest.mark.parametrize('video', ['clip.mp4', 'https://host/videos/clip.mp4?token=1', 's3://bucket/clip.mp4',
                                   '/data/local-files/?d=videos/clip.mp4', 'C:\\videos\\clip.mp4', 'http://[x/clip.mp4'])
def test_the_video_is_found_by_the_last_part_of_its_address(folder, video):
    assert convert(folder, task(region(key(1, 0)), video=video))[1].videos == 1


def test_tasks_that_nobody_labelled_and_other_results_are_counted(folder):
    labelled = task(region(key(1, 0)), {'id': 'x', 'type': 'choices', 'value': {'choices': ['day']}})
    _, report = convert(folder, labelled, {**task(), 'annotations': []}, task(was_cancelled=True))
    assert (sorted(report.left_out.values()), report.videos) == ([1, 2], 1)


@pytest.mark.parametrize(('tasks', 'message'), [
    ([task(region(key(1, 0)), video='/data/upload/../other.mp4')], 'other.mp4'),
    ([task(region(key(1, 0)), video='..')], 'of the video'),
    ([task(region(key(1, 0), framesCount=20))], '20 frames'), ([task(region(key(1, 0), labels=[]))], '0 labels'),
    ([task(region(key(1, 0), key(1, 9)))], 'two key frames'), ([task(region(key('1', 0)))], 'frame is .1. but must be'),
    ([task(region(key(1, None)))], 'x is missing'), ([task(region(key(1, 0)))] * 2, 'like another task'),
    ([{**task(region(key(1, 0))), 'annotations': task()['annotations'] * 2}], '2 annotations'),
    ([{'video': 'clip.mp4', 'box': []}], 'annotations is missing'), ([task()], 'no box'), ([], 'no box')])
def test_a_file_that_cannot_be_understood_is_an_error(folder, tasks, message):
    with pytest.raises(InputError, match=message):
        convert(folder, *tasks)
