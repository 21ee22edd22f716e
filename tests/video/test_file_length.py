"""Truncated files are detected."""

import struct

import cv2
import pytest

from tsm_det.errors import InputError
from tsm_det.video.file_length import is_cut_off
from tsm_det.video.video_file import VideoFile

VIDEOS = {
    'a.mp4': {}, 'faststart.mp4': dict(muxer={'movflags': 'faststart'}), 'b.mkv': {}, 'c.avi': dict(codec='mpeg4'),
    'd.webm': dict(codec='libvpx-vp9', deadline='realtime', **{'cpu-used': '8'})}


def shortened(path, num_bytes):
    path.write_bytes(path.read_bytes()[:-num_bytes])
    return path


@pytest.mark.parametrize('name', VIDEOS)
@pytest.mark.parametrize('missing', [1, 500])
def test_a_video_that_is_whole_is_not_cut_off_and_one_without_its_last_bytes_is(video_file, name, missing):
    path = video_file(name, n=20, height=96, width=128, **VIDEOS[name])
    assert not is_cut_off(path)
    assert len(VideoFile(path)) == 20
    with pytest.raises(InputError, match='cut off'):
        VideoFile(shortened(path, missing))


def test_a_recording_that_was_never_closed_is_read_to_its_end(video_file):
    path = video_file('live.mkv', n=20, height=96, width=128, muxer={'live': '1'})
    assert b'\x18\x53\x80\x67\x01' + b'\xff' * 7 in path.read_bytes(), 'a segment of unknown length'
    assert not is_cut_off(shortened(path, 100))
    assert 0 < len(VideoFile(path)) < 20


@pytest.mark.parametrize(('name', 'keys'), [
    ('baseline.jpg', []), ('progressive.jpg', [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]), ('lossy.webp', [])])
def test_images(tmp_path, video_frame, name, keys):
    path = tmp_path / name
    cv2.imwrite(str(path), video_frame(3, 96, 128), keys)
    whole = path.read_bytes()
    path.write_bytes(whole + b'what a phone appends' * 9)
    assert not is_cut_off(path)
    path.write_bytes(whole[:-2])
    assert is_cut_off(path)


def test_the_end_of_a_small_picture_in_the_headers_is_not_the_end(tmp_path, video_frame):
    content = cv2.imencode('.jpg', video_frame(3, 96, 128))[1].tobytes()
    thumbnail = b'\xff\xe1' + (2 + len(content)).to_bytes(2, 'big') + content
    path = tmp_path / 'thumbnail.jpg'
    path.write_bytes(content[:2] + thumbnail + content[2:])
    assert not is_cut_off(path)
    path.write_bytes(path.read_bytes()[:-2])
    assert is_cut_off(path)


@pytest.mark.parametrize('content', [
    b'', b'x', b'RIFF', b'\xff\xd8\xff', b'\xff\xd8\xff\xe0\xff\xff', b'\x1a\x45\xdf\xa3', b'\x1a\x45\xdf\xa3\0' * 9,
    b'GIF89a' * 9, bytes(99), struct.pack('>I4sQ', 1, b'free', 0), struct.pack('>I4s', 7, b'free') * 9])
def test_random_bytes_raise_no_error(tmp_path, content):
    path = tmp_path / 'rubbish'
    path.write_bytes(content)
    assert is_cut_off(path) in (True, False)


@pytest.mark.parametrize('tail', [
    struct.pack('>I4sQ', 1, b'free', 0), struct.pack('>I4sQ', 1, b'free', 12) + b'moov',
    struct.pack('>I4s', 7, b'free')])
def test_a_box_smaller_than_its_header_after_a_whole_video_is_ignored(video_file, tail):
    path = video_file('v.mp4', n=5, height=96, width=128)
    path.write_bytes(path.read_bytes() + tail)
    assert not is_cut_off(path)
