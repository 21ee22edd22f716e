"""Video files that strangers send."""

import http.client
import json

import numpy as np
import pytest

from tests.serving.pages import assert_same, eventually, request, serving, visiting
from tsm_det.datasets import video_index
from tsm_det.serving.limits import Limits
from tsm_det.video.video_file import VideoFile


def files(folder):
    return [path for path in folder.rglob('*') if path.is_file()]


def test_frames_of_a_file_are_those_of_reading_it_and_their_detections_those_of_a_detector_alone(
        serve, make_detector, video_file, video_number):
    path = video_file(n=6, height=96, width=128)
    alone = make_detector()
    with visiting(serve()) as page:
        assert page.upload(path.read_bytes()) == (200, {'frames': 6, 'fps': 25.0})
        seen = [page.look(k) for k in range(6)]
    assert_same([answer for answer, _ in seen], [alone(image).pred_instances for image in VideoFile(path)])
    assert [answer['frame_id'] for answer, _ in seen] == [video_number(picture) for _, picture in seen] == [*range(6)]
    assert [answer['reset'] for answer, _ in seen] == ['new'] + 5 * [None]


def test_going_back_in_a_file_is_a_seek_and_another_file_is_a_new_stream(serve, temp_folder, video_file):
    data = video_file(n=3).read_bytes()
    with visiting(serve()) as page:
        page.upload(data)
        reasons = [page.look(k)[0]['reset'] for k in (0, 2, 1)]
        page.upload(data)
        assert [*reasons, page.look(2)[0]['reset']] == ['new', None, 'seek', 'new']
        assert len(files(temp_folder)) == 1


def test_nobody_else_can_see_or_replace_a_file(serve, video_file):
    port, data = serve(), video_file(n=2).read_bytes()
    with visiting(port) as page, visiting(port) as other:
        assert page.upload(data)[0] == 200
        assert 'there is no video of this page' in other.look(0)[0]['message']
        for key in ('', 'guess', 'x' * 43):
            assert other.upload(data, **{'X-Visit': key})[0] == 403
        assert request(port, 'POST', '/upload', data)[0] == 403
        assert page.look(0)[0]['reset'] == 'new'


def test_a_file_lies_where_only_the_server_can_read_and_goes_when_the_camera_comes(serve, temp_folder, video_file):
    with visiting(serve()) as page:
        page.upload(video_file(n=2).read_bytes())
        [path] = files(temp_folder)
        assert [folder.stat().st_mode & 0o77 for folder in path.parents[:2]] == [0, 0]
        page.tell(do='camera')
        page.look(0)
        assert files(temp_folder) == []


@pytest.mark.parametrize('is_declared', [True, False])
def test_a_file_of_too_many_bytes_is_refused_and_not_kept(serve, temp_folder, is_declared):
    body = bytes(100_001)
    with visiting(serve(upload_bytes=100_000)) as page:
        status, answer = page.upload(body if is_declared else iter([body[:50_000], body[50_000:]]))
        assert (status, answer['error']) == (413, 'the file is larger than the 0.1 MB that are taken: cut it, or have '
                                                  'the server started with a higher --max-upload-mb')
        assert files(temp_folder) == []


@pytest.mark.parametrize(('name', 'sentence'), [
    ('text', 'cannot be read as a video'), ('empty', 'cannot be read as a video'),
    ('cut', 'is cut off'), ('song', 'cannot be read as a video'), ('large', 'has 128 x 96 pixels but at most 10000'),
    ('long', 'is 2 minutes long but at most 1 are taken'), ('many', 'more than 150 frames'),
    ('many, decoded', 'more than 150 frames'),
])
def test_a_file_that_is_no_video_within_the_limits_is_refused_and_not_kept(
        serve, temp_folder, video_file, name, sentence):
    makers = {
        'text': lambda: b'this is no video ' * 100, 'empty': lambda: b'', 'song': lambda: b'ID3\3' + bytes(1000),
        'cut': lambda: video_file(muxer={'movflags': 'faststart'}).read_bytes()[:-500],
        'large': lambda: video_file(n=2, width=128, height=96).read_bytes(),
        'long': lambda: video_file(n=121, fps=1).read_bytes(), 'many': lambda: video_file(n=151).read_bytes(),
        'many, decoded': lambda: video_file('video.avi', n=151, codec='mpeg4', bf='0').read_bytes()}
    with visiting(serve(pixels=10_000, video_s=60, frames=150)) as page:
        status, answer = page.upload(makers[name]())
        assert (status, sentence in answer['error']) == (400, True), answer
        assert str(temp_folder) not in answer['error']
        assert files(temp_folder) == []
        assert 'there is no video' in page.look(0)[0]['message']


def test_a_video_that_grows_beyond_the_limit_is_refused_where_it_does(serve, detector, video_file):
    small = video_file('small.ts', n=5, height=48, width=64)
    large = video_file('large.ts', n=5, height=96, width=128, stamps=[*range(5, 10)])
    with visiting(serve(pixels=10_000)) as page:
        assert page.upload(small.read_bytes() + large.read_bytes())[1]['frames'] == 10
        answers = [page.look(k)[0] for k in range(10)]
        assert [answer['type'] for answer in answers] == 5 * ['found'] + 5 * ['error']
        assert answers[5]['message'] == (
            'the video has 128 x 96 pixels but at most 10000 are taken: scale it down')
        assert page.look(0)[0]['type'] == 'found'


@pytest.mark.parametrize('playlist', [
    '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://{path}\n#EXT-X-ENDLIST\n',
    'ffconcat version 1.0\nfile {path}\n'])
def test_a_playlist_cannot_show_files_of_the_server(serve, video_file, playlist):
    path = video_file('secret.ts', n=25)
    with visiting(serve()) as page:
        status, answer = page.upload(playlist.format(path=path).encode())
        assert (status, answer['error'].split(':')[0]) == (400, 'the file cannot be read as a video')


@pytest.mark.parametrize('frame_id', [-1, 2, 10 ** 30])
def test_a_frame_that_is_not_there_gets_a_sentence_without_the_path(serve, temp_folder, video_file, frame_id):
    with visiting(serve()) as page:
        page.upload(video_file(n=2).read_bytes())
        message = page.look(frame_id)[0]['message']
        assert f'frame {frame_id} of the file was asked for but it has frames 0 to 1' in message
        assert str(temp_folder) not in message


@pytest.mark.parametrize('most', [150, None])
def test_as_many_frames_as_are_taken_are_taken(video_file, most):
    assert len(VideoFile(video_file(n=150), most)) == len(VideoFile(video_file('video.avi', n=150), most)) == 150


def test_files_of_strangers_are_not_remembered(video_file):
    path = str(video_file(n=2))
    assert video_index.index_video(path, 9) is not video_index.index_video(path, 9)
    assert video_index.index_video(path) is video_index.index_video(path)


def begin_upload(page, data):
    """Send the first half of a file."""
    upload = http.client.HTTPConnection('127.0.0.1', page.port, timeout=60)
    upload.putrequest('POST', '/upload')
    for name, text in (('Origin', f'http://127.0.0.1:{page.port}'), ('X-Visit', page.settings['key']),
                       ('Content-Length', str(len(data)))):
        upload.putheader(name, text)
    upload.endheaders(data[:len(data) // 2])
    return upload


def test_an_upload_ends_when_its_page_closes(serve, temp_folder, video_file):
    """Otherwise it would go on filling a file that is deleted already, and nobody would count it."""
    with visiting(serve()) as page:
        upload = begin_upload(page, video_file(n=2).read_bytes())
        eventually(lambda: files(temp_folder))
    answer = upload.getresponse()
    assert answer.status == 400
    assert json.loads(answer.read()) == {'error': 'the page that this upload is for was closed: press Start'}
    assert files(temp_folder) == []


def test_an_upload_that_takes_too_long_is_ended(serve, temp_folder, video_file):
    with visiting(serve(upload_s=0.3)) as page:
        answer = begin_upload(page, video_file(n=2).read_bytes()).getresponse()
        assert answer.status == 400
        assert 'the file did not come in 0.005 minutes' in json.loads(answer.read())['error']
        assert files(temp_folder) == []


def test_an_upload_that_breaks_off_is_not_kept_and_the_page_may_send_another(serve, temp_folder, video_file):
    data = video_file(n=2).read_bytes()
    with visiting(serve()) as page:
        broken = begin_upload(page, data)
        eventually(lambda: files(temp_folder))
        assert page.upload(data) == (400, {
            'error': 'another upload of this page is under way: wait for its end'})
        broken.close()
        eventually(lambda: not files(temp_folder))
        assert page.upload(data)[0] == 200
        np.testing.assert_array_equal(page.look(1)[1].shape, (48, 64, 3))


def test_the_end_of_the_server_takes_all_files_away(serve, detector, temp_folder, video_file):
    with serving(detector, Limits()) as port, visiting(port) as page:
        page.upload(video_file(n=2).read_bytes())
        assert len(files(temp_folder)) == 1
    assert list(temp_folder.iterdir()) == []
