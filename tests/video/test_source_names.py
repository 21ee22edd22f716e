"""Lists, folders and patterns stand for sources."""

import cv2
import numpy as np
import pytest

from tsm_det.errors import InputError
from tsm_det.video.source_names import SourceName, source_names
from tsm_det.video.sources import open_source


@pytest.fixture
def videos(tmp_path):
    """A folder of videos 1, 2, 10 (only their names count), and of other files."""
    folder = tmp_path / 'videos'
    (folder / 'inside').mkdir(parents=True)
    for name in ('1.mp4', '10.MKV', '2.ts', 'notes.txt', '._1.mp4'):
        (folder / name).touch()
    return folder


def test_a_folder_or_a_pattern_of_videos_is_a_queue_in_natural_order(videos):
    for place in (str(videos), f'{videos}/*.*'):
        assert source_names([place]) == [SourceName(f'{videos}/{name}', place) for name in ('1.mp4', '2.ts', '10.MKV')]


def test_other_names_stay_and_run_on_their_own(tmp_path):
    (tmp_path / 'empty').mkdir()
    cv2.imwrite(str(tmp_path / '1.png'), np.zeros((8, 8, 3), np.uint8))
    names = [str(tmp_path), f'{tmp_path}/*.png', f'{tmp_path}/1.png', f'{tmp_path}/empty/', 'missing.mp4', '0',
             'rtsp://u:p@cam/1', 'http://host/list.txt', 'http://host/x?a=*', '/dev/video1', 'missing/*.jpg']
    assert source_names(names) == [SourceName(name) for name in names]


@pytest.mark.parametrize(('ending', 'bom'), [('\n', b''), ('\r\n', b'\xef\xbb\xbf')])
def test_a_text_file_lists_sources_with_comments(tmp_path, videos, monkeypatch, ending, bom):
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'take #2.mp4').touch()
    lines = ['# the yard', 'rtsp://u:p%23w@cam/1', '', '  rtsp://cam/2#track=1   # the gate', '0 #webcam', '\t# none',
             f'{tmp_path}/take #2.mp4', '~/videos', 'späte.mp4']
    (tmp_path / 'cams.TXT').write_bytes(bom + ending.join(lines).encode())
    assert [name for name, _ in source_names(['~/cams.TXT', 'last.mp4'])] == [
        'rtsp://u:p%23w@cam/1', 'rtsp://cam/2#track=1', '0', f'{tmp_path}/take #2.mp4',
        *(f'{videos}/{name}' for name in ('1.mp4', '2.ts', '10.MKV')), 'späte.mp4', 'last.mp4']


@pytest.mark.parametrize('content', [None, b'', b'# nothing\n\n', b'\xff\xfe\x00', 'folder'])
def test_a_list_without_sources_is_refused(tmp_path, content):
    path = tmp_path / 'cams.txt'
    if content == 'folder':
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as error:
        source_names([str(path)])
    assert str(path) in str(error.value)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('picture', ['cover.jpg', 'cover.PNG'])
@pytest.mark.parametrize('place', ['{}', '{}/*'])
@pytest.mark.parametrize('read', [open_source, lambda name: source_names([name])])
def test_videos_and_a_picture_in_one_folder_are_refused(videos, picture, place, read):
    (videos / picture).touch()
    with pytest.raises(InputError, match=rf'1 image.*3 video.*{picture}'):
        read(place.format(videos))
    assert len(source_names([f'{videos}/*.[mt][ps]*'])) == 2


def test_the_home_folder_may_be_written_short(tmp_path, monkeypatch, video_file):
    monkeypatch.setenv('HOME', str(tmp_path))
    video_file('road.mp4', n=2)
    assert source_names(['~/road.mp4', '~/*.mp4'])[1] == (str(tmp_path / 'road.mp4'), f'{tmp_path}/*.mp4')
    assert open_source('~/road.mp4').num_frames == 2
