"""Sources give frames with ids and times."""

import cv2
import numpy as np
import pytest

from tsm_det.errors import InputError
from tsm_det.video.sources import IMAGE_FPS, open_source


@pytest.fixture
def folder(tmp_path, video_frame):
    """A folder of images 1, 2, 9, 10, 11, each named and drawn with its number, and of other files."""
    folder = tmp_path / 'frames'
    (folder / 'inside').mkdir(parents=True)
    (folder / 'notes.txt').write_text('nothing to see')
    for k in (1, 2, 9, 10, 11):
        cv2.imwrite(str(folder / f'{k}.{"PNG" if k == 9 else "png"}'), video_frame(k))
    return folder


def test_a_video_gives_its_frames_with_their_times(video_file, video_number):
    source = open_source(video_file('road.mp4', n=5, fps=25))
    assert (source.name, source.fps, source.num_frames) == ('road.mp4', 25, 5)
    assert [(k, time_s, video_number(image)) for _, k, time_s, image in source.frames()] == [
        (k, k / 25, k) for k in range(5)]


def test_images_come_in_natural_order(folder, video_number):
    source = open_source(str(folder))
    assert (source.name, source.fps, source.num_frames) == ('frames', IMAGE_FPS, 5)
    assert [(k, video_number(image)) for _, k, _, image in source.frames()] == list(enumerate([1, 2, 9, 10, 11]))
    assert [time_s for _, _, time_s, _ in source.frames()] == [k / IMAGE_FPS for k in range(5)]


@pytest.mark.parametrize(('pattern', 'numbers'), [('1*.png', [1, 10, 11]), ('[29].*', [2, 9]), ('10.png', [10])])
def test_a_glob_or_one_image_is_a_source(folder, video_number, pattern, numbers):
    assert [video_number(image) for _, _, _, image in open_source(folder / pattern).frames()] == numbers


def test_a_source_may_be_iterated_again(video_file):
    source = open_source(video_file(n=3))
    first, second = ([frame.image for frame in source.frames()] for _ in range(2))
    assert len(first) == 3 and np.array_equal(first, second)


@pytest.mark.parametrize(('start', 'stride', 'ids'), [
    (0, 1, range(9)), (4, 1, range(4, 9)), (1, 3, (1, 4, 7)), (9, 1, ())])
def test_frames_start_anywhere_and_skip_by_the_stride(video_file, video_number, start, stride, ids):
    frames = open_source(video_file(n=9)).frames(start, stride)
    assert [(k, video_number(image)) for _, k, _, image in frames] == [(k, k) for k in ids]


@pytest.mark.parametrize('name', ['missing.mp4', 'missing.png', 'missing/*.png', 'empty', 'empty.mp4', 'words.mp4'])
def test_an_empty_source_is_refused_with_its_path(tmp_path, name):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'empty.mp4').touch()
    (tmp_path / 'words.mp4').write_text('some words\n' * 99)
    with pytest.raises(InputError) as error:
        open_source(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    assert '\n' not in str(error.value)


def test_a_damaged_image_is_refused_at_its_frame(folder):
    (folder / '2.png').write_bytes(b'no image')
    frames = open_source(folder).frames()
    assert next(frames).frame_id == 0
    with pytest.raises(InputError, match=r'2\.png cannot be read'):
        next(frames)


def test_notes_of_file_managers_are_ignored(folder, video_number):
    (folder / '._1.png').write_bytes(b'no image')
    assert [video_number(frame.image) for frame in open_source(folder).frames()] == [1, 2, 9, 10, 11]
