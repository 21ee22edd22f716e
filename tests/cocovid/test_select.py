"""Part of the frames of each video."""

import json

import pytest

from tsm_det.cocovid.select import select_frames
from tsm_det.errors import InputError


@pytest.fixture
def file(tmp_path):
    """Two videos of 7 and 3 frames, listed backwards, and a still; one box per frame."""
    images = [dict(id=10 * video + k, video_id=video, frame_id=2 * k, file_name=f'{video}/{k}.jpg', width=8, height=8)
              for video, length in ((1, 7), (2, 3)) for k in reversed(range(length))]
    images.append(dict(id=99, file_name='still.jpg', width=8, height=8))
    boxes = [dict(id=image['id'], image_id=image['id'], category_id=1, bbox=[0, 0, 2, 2], area=4, iscrowd=0)
             for image in images]
    path = tmp_path / 'all.json'
    path.write_text(json.dumps(dict(
        videos=[dict(id=1, name='a'), dict(id=2, name='b')], images=images, annotations=boxes,
        categories=[dict(id=1, name='thing')], note='kept')))
    return path


@pytest.mark.parametrize(('options', 'ids', 'frame_ids'), [
    (dict(every=3), [10, 13, 16, 20, 99], [0, 6, 12, 0, None]),
    (dict(first=2), [10, 11, 20, 21, 99], [0, 2, 0, 2, None]),
    (dict(every=2, first=3, renumber=True), [10, 12, 14, 20, 22, 99], [0, 1, 2, 0, 1, 0])])
def test_the_frames_of_each_video_are_counted_in_order_of_time(file, tmp_path, options, ids, frame_ids):
    select_frames(file, tmp_path / 'some.json', **options)
    content = json.loads((tmp_path / 'some.json').read_text())
    images = sorted(content['images'], key=lambda image: image['id'])
    assert [image['id'] for image in images] == ids
    assert [image.get('frame_id') for image in images] == frame_ids
    assert sorted(box['image_id'] for box in content['annotations']) == ids
    assert content['note'] == 'kept'


@pytest.mark.parametrize(('options', 'fact'), [(dict(every=0), '--every'), (dict(first=0), '--first')])
def test_numbers_below_one_are_refused(file, tmp_path, options, fact):
    with pytest.raises(InputError, match=fact):
        select_frames(file, tmp_path / 'some.json', **options)


def test_the_file_that_is_read_is_not_written(file):
    before = file.read_bytes()
    with pytest.raises(InputError, match='all.json'):
        select_frames(file, file)
    assert file.read_bytes() == before
