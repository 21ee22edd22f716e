"""Connections to servers of this process, with numbered frames."""

from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import av
import cv2
import numpy as np
import pytest

from tests.soak.servers import (
    Damage,
    Send,
    file_server,
    guarded_camera,
    mjpeg_camera,
    mute_server,
    rtsp_camera,
)
from tsm_det.errors import InputError
from tsm_det.video.cameras import LiveSource
from tsm_det.video.connection import CameraSettings, check_password, connect, is_live_address, without_password
from tsm_det.video.video_file import VideoFile

LIMIT_S = 60


@pytest.fixture
def numbers(video_number):
    """The connection, the numbers of its frames, None for a damaged one, and how they end."""
    def numbers(address):
        connection, found = connect(address, LIMIT_S, LIMIT_S), []
        try:
            for image in connection.images:
                found.append(None if image is None else video_number(image.image))
        except ConnectionError:
            return connection, found, 'broke off'
        return connection, found, 'ended'
    return numbers


@pytest.mark.parametrize('camera', [mjpeg_camera, rtsp_camera])
def test_a_camera_gives_its_frames_until_it_hangs_up(camera, numbers, video_frame):
    with camera([[Send(12, fps=200)]], video_frame) as (_, address):
        connection, found, _ = numbers(address)
    assert found == list(range(12))
    assert (connection.is_recorded, connection.num_frames, connection.fps) == (False, None, 25)


@pytest.mark.parametrize('size', [(96, 128), (24, 48)])
def test_the_size_may_change_within_a_connection(numbers, video_frame, size):
    """OpenCV repeats the last image of the old size."""
    with mjpeg_camera([[Send(6, 200), Send(6, 200, size)]], video_frame) as (_, address):
        _, found, _ = numbers(address)
    assert found == list(range(12))


def test_a_damaged_frame_does_not_end_the_connection(numbers, video_frame):
    with mjpeg_camera([[Send(6, 200), Damage(), Send(3, 200)]], video_frame) as (_, address):
        _, found, _ = numbers(address)
    assert found == [*range(6), None, *range(6, 9)]


@pytest.mark.parametrize('has_length', [True, False])
@pytest.mark.parametrize(('name', 'options'), [
    ('video.mp4', {'muxer': {'movflags': 'faststart'}}), ('video.mkv', {}), ('video.ts', {})])
def test_a_file_behind_http_gives_its_frames_and_ends(numbers, video_file, name, options, has_length):
    """A server that states no length hangs up at the end of the file."""
    if name != 'video.mp4' and not has_length:
        pytest.skip('only an mp4 states its number of frames')
    with file_server(video_file(name, n=20, **options), [], has_length=has_length) as (_, address):
        connection, found, end = numbers(address)
    assert (found, end) == (list(range(20)), 'ended')
    assert connection.is_recorded
    assert connection.num_frames == (None if name.endswith('.ts') else 20)


@pytest.mark.parametrize('share', [0.4, 0.7, 0.9])
@pytest.mark.parametrize('name', ['video.mp4', 'video.mkv', 'video.ts'])
def test_a_file_that_is_cut_off_gives_whole_frames_before_it_breaks(tmp_path, name, share):
    path = tmp_path / name
    with av.open(str(path), 'w', options={'movflags': 'faststart'} if 'mp4' in name else {}) as container:
        stream = container.add_stream('libx264', rate=25, options={'bf': '0'})
        stream.width = stream.height = 128
        for image in np.random.default_rng(0).integers(0, 256, (12, 128, 128, 3), dtype=np.uint8):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='bgr24')))
        container.mux(stream.encode())
    with file_server(path, [share]) as (_, address):
        images, found = connect(address, LIMIT_S, LIMIT_S).images, []
        with pytest.raises(ConnectionError):
            found.extend(shown.image for shown in images)
    assert len(found) > 2
    assert all(map(np.array_equal, found, VideoFile(path)))


def test_an_address_that_does_not_answer_is_refused(tmp_path):
    with pytest.raises(ConnectionError, match='Connection refused'):
        connect('http://127.0.0.1:1/', LIMIT_S, LIMIT_S)
    with mute_server() as place, pytest.raises(ConnectionError, match='no answer in time'):
        connect(f'http://{place}/', 0.1, LIMIT_S)
    (tmp_path / 'page.html').write_text('<p>not a video</p>' * 99)
    with file_server(tmp_path / 'page.html', []) as (_, address), pytest.raises(ConnectionError):
        connect(address, LIMIT_S, LIMIT_S)


def test_a_camera_that_falls_silent_is_given_up_after_the_limit(video_frame):
    with mjpeg_camera([[Send(5, 200), Send(1, fps=0.01)]], video_frame) as (_, address):
        connection = connect(address, LIMIT_S, 0.1)
        with pytest.raises(ConnectionError, match='no answer in time'):
            list(connection.images)


class Webcam:
    """Replaces cv2.VideoCapture; it has 640x480 px at 30 frames per second and 1280x720 px at 10."""

    def __init__(self, place):
        self.place, self.left, self.is_released = place, 3, False
        self.wishes = {}

    def isOpened(self):
        return self.place in (1, '/dev/video7')

    def set(self, key, wish):
        self.wishes[key] = wish

    def get(self, key):
        if not self.wishes:
            return 0.0
        is_large = self.wishes.get(cv2.CAP_PROP_FRAME_WIDTH, 0) > 640
        return dict(zip((cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS),
                        (1280.0, 720.0, 10.0) if is_large else (640.0, 480.0, 30.0), strict=True))[key]

    def read(self):
        self.left -= 1
        return self.left >= 0, np.full((2, 2, 3), max(self.left, 0), np.uint8)

    def release(self):
        self.is_released = True


@pytest.mark.parametrize('address', ['1', '/dev/video7'])
def test_a_webcam_gives_frames_until_it_is_unplugged(monkeypatch, address):
    made = []
    monkeypatch.setattr(cv2, 'VideoCapture', lambda place: made.append(Webcam(place)) or made[-1])
    connection, found = connect(address, 1, 1), []
    with pytest.raises(ConnectionError):
        found.extend(shown.image[0, 0, 0] for shown in connection.images)
    with pytest.raises(ConnectionError, match='no such camera'):
        connect('5', 1, 1)
    assert (found, connection.fps, connection.is_recorded, made[0].is_released) == ([2, 1, 0], 30, False, True)


@pytest.mark.parametrize(('size', 'fps', 'given_fps', 'refused'), [
    ((1280, 720), 10, 10, ''), ((640, 480), None, 30, ''), (None, 30, 30, ''), ((640, 480), 29.97, 30, ''),
    ((1280, 720), 30, 10, '1280, 720, 10, not 1280, 720, 30'), ((1920, 1080), None, 10, '1280, 720, not 1920, 1080'),
    (None, 60, 30, '30, not 60')])
def test_a_webcam_takes_the_size_and_the_rate_that_it_has(monkeypatch, caplog, size, fps, given_fps, refused):
    monkeypatch.setattr(cv2, 'VideoCapture', Webcam)
    connection = connect('1', 1, 1, CameraSettings(webcam_size=size, webcam_fps=fps))
    assert connection.fps == given_fps
    assert [refused in record.getMessage() for record in caplog.records] == [True] * bool(refused)


@pytest.mark.parametrize('transport', ['tcp', 'udp'])
def test_rtsp_runs_over_either_transport(numbers, video_frame, transport):
    with rtsp_camera([[Send(12, fps=200)]], video_frame) as (camera, address):
        connection = connect(address, LIMIT_S, LIMIT_S, CameraSettings(rtsp_transport=transport))
        with closing(connection.images) as images:
            found = [next(images).image for _ in range(5)]
    assert camera.transports == [transport]
    assert {image.shape for image in found} == {(48, 64, 3)}


@pytest.mark.parametrize('password', ['pa#ss', 'pa?ss', 'pa/ss', 'p@ss', '1234', '12#4', '#?/@:%', 'ü'])
def test_a_quoted_password_reaches_the_camera(password):
    with guarded_camera() as (credentials, place):
        address = f'rtsp://user:{quote(password, safe="")}@{place}/live'
        check_password(address)
        with pytest.raises(ConnectionError):
            connect(address, LIMIT_S, LIMIT_S)
    assert credentials == [f'user:{password}']


@pytest.mark.parametrize(('address', 'advice'), [
    ('rtsp://user:pa#ss@cam/1', '%23'), ('rtsp://user:pa?ss@cam/1', '%3F'), ('rtsp://user:pa/ss@cam/1', '%2F'),
    ('rtsp://user:12#4@cam:554/1', '%23'), ('rtsp://user:12?4@cam/1', '%3F'), ('rtsp://user:p@s#w@cam/1', '%23'),
    ('RTSP://user:#@cam', '%23'), ('http://user:?@cam/a?b=c@d', '%3F')])
def test_a_password_that_must_be_quoted_is_refused_with_the_advice(address, advice):
    with pytest.raises(InputError, match=advice) as error:
        LiveSource(address)
    assert 'user' in str(error.value)
    assert address.split(':')[2] not in str(error.value)


@pytest.mark.parametrize('address', [
    'http://host/a@b', 'http://host:80/a:b@c', 'http://host:80?a=b@c', 'http://u@[::1]:80/x', 'http://[::1]:80/x@y',
    'rtsp://u:p@cam/x@y', 'rtsp://u:p@cam/1#x', 'rtsp://cam?user=a&mail=b@c', 'udp://@:5000', '0', '/dev/video0'])
def test_an_address_without_such_a_password_passes(address):
    check_password(address)


@pytest.mark.parametrize(('source', 'is_live'), [
    ('0', True), ('/dev/video0', True), ('RTSP://camera', True), ('https://a/b.mp4', True), ('udp://@:5000', True),
    ('a.mp4', False), ('²', False), ('0000', False), ('12', True), ('٣', False),
    ('folder/http://', False), ('', False)])
def test_an_address_is_known_by_its_form(source, is_live):
    assert is_live_address(source) == is_live


@pytest.mark.parametrize('make', [Path.mkdir, Path.touch])
def test_a_number_that_is_a_folder_or_a_file_too_is_refused(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    make(Path('5'))
    with pytest.raises(InputError, match=r'5 is .*\./5'):
        is_live_address('5')
    assert is_live_address('6') and not is_live_address('./5')


@pytest.mark.parametrize(('end', 'is_recorded'), [('', False), ('#EXT-X-ENDLIST\n', True)])
def test_a_playlist_that_may_grow_is_a_camera(tmp_path, video_file, end, is_recorded):
    names = [video_file(f'{k}.ts', n=10, g='5').name for k in range(3)]
    segments = ''.join(f'#EXTINF:0.4,\n{name}\n' for name in names)
    (tmp_path / 'live.m3u8').write_text(f'#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n{segments}{end}')
    connection = connect(f'file://{tmp_path}/live.m3u8', 5, 5)
    connection.images.close()
    assert connection.is_recorded == is_recorded


@pytest.mark.parametrize(('address', 'shown'), [
    ('rtsp://u:secret@host/x', 'rtsp://u@host/x'), ('rtsp://u:se@cret@host/x', 'rtsp://u@host/x'),
    ('rtsp://me@example.com:secret@cam:554/1', 'rtsp://me@example.com@cam:554/1'), ('rtsp://u:s:e@h/x', 'rtsp://u@h/x'),
    ('rtsp://u:se#cret@h/x', 'rtsp://u@h/x'), ('rtsp://u:se?cret@h/x', 'rtsp://u@h/x'),
    ('rtsp://u:s/t@h/x@y', 'rtsp://u@h/x@y'), ('rtsp://u:12#4@h/x', 'rtsp://u@h/x'),
    ('http://[::1]:80/x@y', 'http://[::1]:80/x@y'), ('http://host/a@b', 'http://host/a@b'), ('http://host:80/a:b@c', 'http://host:80/a:b@c'),
    ('http://host:80?a=b@c', 'http://host:80?a=b@c'), ('http://u@[::1]:80/x', 'http://u@[::1]:80/x'), ('0', '0')])
def test_a_password_is_not_shown(address, shown):
    assert without_password(address) == shown
