"""Pages that are open at the same time."""

import av
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from tests.serving.pages import assert_same, decoded, eventually, jpeg, jpeg_that_claims, serving, visiting
from tsm_det.serving.limits import Limits


def frames(n, seed, size=(96, 128)):
    """Pictures as a camera's page sends them."""
    return [jpeg(image) for image in np.random.default_rng(seed).integers(0, 256, (n, *size, 3), dtype=np.uint8)]


def alone(detector, pictures):
    """What a detector says that sees nothing else."""
    return [sample.pred_instances for sample in (detector(decoded(picture)) for picture in pictures)]


def test_two_visitors_do_not_mix(serve, make_detector):
    port, one, two = serve(), frames(4, 1), frames(4, 2, (128, 96))
    answers = [], []
    with visiting(port) as first, visiting(port) as second:
        for ours, theirs in zip(one, two, strict=True):
            answers[0].append(first.show(ours))
            answers[1].append(second.show(theirs))
    assert_same(answers[0], alone(make_detector(), one))
    assert_same(answers[1], alone(make_detector(), two))
    assert [answer['reset'] for answer in answers[1]] == ['new', None, None, None]
    assert answers[1][3]['size'] == [96, 128]
    assert answers[1][3]['detections'][0]['class'] in ('a', 'b', 'c', 'd')


def test_two_visitors_at_the_same_time_do_not_mix(serve, make_detector):
    port, one, two = serve(), frames(4, 1), frames(4, 2)
    answers = [], []
    with visiting(port) as first, visiting(port) as second:
        for ours, theirs in zip(one, two, strict=True):
            first.connection.send(ours)
            second.connection.send(theirs)
            answers[0].append(first.receive())
            answers[1].append(second.receive())
    assert_same(answers[0], alone(make_detector(), one))
    assert_same(answers[1], alone(make_detector(), two))


def test_a_page_that_closes_leaves_nothing_behind(serve, detector, temp_folder, video_file):
    port = serve()
    with visiting(port) as page, visiting(port) as other:
        page.show(frames(1, 0)[0])
        other.show(frames(1, 0)[0])
        assert page.upload(video_file(n=2).read_bytes())[0] == 200
        page.look(0)
        page.connection.close()
        eventually(lambda: len(detector.bank) == 1)
        assert other.show(frames(1, 1)[0])['reset'] is None
        assert not [path for path in temp_folder.rglob('*') if path.is_file()]
    eventually(lambda: len(detector.bank) == 0)


def test_ids_of_streams_and_keys_of_others_are_told_to_nobody(serve, detector):
    port = serve()
    with visiting(port) as first, visiting(port) as second:
        for page in (first, second):
            page.show(frames(1, 0)[0])
        said = ''.join(first.texts + second.texts)
        assert len(detector.bank.stream_ids()) == 2
        assert not [name for name in detector.bank.stream_ids() if name in said]
        assert second.settings['key'] not in ''.join(first.texts)


def test_each_camera_is_a_stream_of_its_own(serve, detector):
    with visiting(serve()) as page:
        pictures = frames(2, 0)
        answers = [page.show(picture) for picture in pictures]
        page.tell(do='camera')
        answers += [page.show(picture) for picture in pictures]
        assert [(answer['frame_id'], answer['reset']) for answer in answers] == [
            (0, 'new'), (1, None), (0, 'new'), (1, None)]
        assert answers[2]['detections'] == answers[0]['detections']
        assert len(detector.bank) == 1


def test_reset_starts_the_stream_afresh_and_no_other(serve):
    port = serve()
    with visiting(port) as page, visiting(port) as other:
        for one in (page, other):
            one.show(frames(1, 0)[0])
        page.tell(do='reset')
        assert [one.show(frames(1, 0)[0])['reset'] for one in (page, other)] == ['manual', None]


@pytest.mark.parametrize(('message', 'sentence'), [
    (b'', 'is no JPEG picture'), (b'not a picture', 'is no JPEG picture'),
    (jpeg_that_claims(60000, 60000), 'far more pixels'), (jpeg_that_claims(5000, 5000), '5000 x 5000 pixels'),
    ('not json', 'does not know'), ('[' * 100_000, 'does not know'), ('[]', 'does not know'), ('{}', 'does not know'),
    ('{"do": "frame", "frame_id": "0"}', 'does not know'), ('{"do": "frame", "frame_id": 0}', 'there is no video'),
])
def test_what_cannot_be_done_is_said_and_the_stream_runs_on(serve, message, sentence):
    with visiting(serve()) as page:
        page.show(frames(1, 0)[0])
        page.connection.send(message)
        answer = page.receive()
        assert answer['type'] == 'error'
        assert sentence in answer['message']
        answer = page.show(frames(1, 1)[0])
        assert (answer['frame_id'], answer['reset']) == (1, None)


@pytest.mark.parametrize('size', [(1, 3000), (3000, 1)])
def test_a_picture_that_cannot_be_resized_is_told_to_its_visitor_alone(detector, size, capfd):
    narrow = jpeg(np.zeros((*size, 3), np.uint8))
    with serving(detector, Limits()) as port, visiting(port) as page, visiting(port) as other:
        for one in (page, other):
            one.show(frames(1, 0)[0])
        other.connection.send(frames(1, 1)[0])
        answer = page.show(narrow)
        assert (answer['type'], 'give one that is less narrow' in answer['message']) == ('error', True)
        assert [other.receive()['reset'], *(one.show(frames(1, 2)[0])['reset'] for one in (page, other))] == 3 * [None]
    assert 'ERROR' not in capfd.readouterr().err


def test_a_message_of_too_many_bytes_closes_the_connection(serve, detector):
    with visiting(serve(message_bytes=50_000)) as page:
        page.show(frames(1, 0)[0])
        with pytest.raises(ConnectionClosed) as closed:
            page.show(bytes(50_001))
        assert closed.value.rcvd.code == 1009
    eventually(lambda: len(detector.bank) == 0)


def test_one_visitor_too_many_is_told_so_and_may_come_when_another_leaves(serve):
    port = serve(visitors=1)
    with visiting(port) as page:
        with pytest.raises(ConnectionClosed, match='All 1 places are taken'), visiting(port):
            pass
        page.show(frames(1, 0)[0])

    def may_come():
        try:
            with visiting(port) as page:
                return page.show(frames(1, 0)[0])['reset'] == 'new'
        except ConnectionClosed:
            return False
    eventually(may_come)


def test_a_page_that_does_not_read_its_answers_gives_its_place_back(serve, detector, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    with av.open(str(tmp_path / 'noise.mp4'), 'w') as container:
        stream = container.add_stream('mpeg4', rate=25)
        stream.width, stream.height, stream.bit_rate = 1280, 720, 10 ** 8
        container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format='bgr24')))
        container.mux(stream.encode())
    with visiting(serve(visitors=1, idle_s=1), max_queue=1) as page:
        assert page.upload((tmp_path / 'noise.mp4').read_bytes())[0] == 200
        for _ in range(200):  # some 100 MB of pictures, more than fits between the two
            page.tell(do='frame', frame_id=0)
        eventually(lambda: len(detector.bank) == 1)
        eventually(lambda: len(detector.bank) == 0)


def test_a_page_that_asks_for_nothing_gives_its_place_back(serve, detector):
    with visiting(serve(idle_s=0.2)) as page, pytest.raises(ConnectionClosed, match='Nothing was asked for too long'):
        page.receive()
    eventually(lambda: len(detector.bank) == 0)
