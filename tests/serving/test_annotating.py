"""Frames and videos of visitors, without a server."""

from base64 import b64decode

import cv2
import numpy as np
import pytest

from tests.streams.conftest import make_detector  # noqa: F401
from tsm_det.errors import InputError
from tsm_det.serving import annotating
from tsm_det.serving.annotating import Annotator, DemoStream
from tsm_det.streams.detections import detections_of
from tsm_det.video.drawing import draw_detections


def decoded(url):
    data = url.removeprefix('data:image/jpeg;base64,')
    return cv2.imdecode(np.frombuffer(b64decode(data), np.uint8), cv2.IMREAD_COLOR)


def states(answers):
    return [status.split('frame ')[1] for _, status in answers]


def test_two_visitors_get_what_each_gets_alone(make_detector):  # noqa: F811
    shared, clips = Annotator(make_detector()), np.random.default_rng(0).integers(0, 256, (2, 4, 96, 128, 3), np.uint8)
    streams, shown = [DemoStream(), DemoStream()], [[], []]
    for frames in zip(*clips, strict=True):
        for i, image in enumerate(frames):
            shown[i].append(shared.annotate(image, streams[i], 0.1)[0])
    for i, clip in enumerate(clips):
        alone = make_detector()
        expected = [draw_detections(image, detections_of(alone(image), alone.classes, 0.1)) for image in clip]
        for url, image in zip(shown[i], expected, strict=True):
            assert b64decode(url.split(',')[1]) == cv2.imencode('.jpg', image)[1].tobytes()


def test_a_state_continues_until_a_reset_and_the_status_gives_the_reason(detector, image):
    annotator, stream = Annotator(detector), DemoStream()
    answers = [annotator.annotate(image, stream, 0) for _ in range(3)]
    stream.bank.drop(None)
    answers += [annotator.annotate(image, stream, 0), annotator.annotate(image[:40], stream, 0)]
    assert states(answers) == ['1 since reset (new)', '2 since reset (new)', '3 since reset (new)',
                               '1 since reset (manual)', '1 since reset (size)']
    assert 'detections: 1' in answers[0][1]
    assert 'detections: 0' in annotator.annotate(image, stream, 0.6)[1]
    assert decoded(answers[4][0]).shape == (40, 64, 3)


def test_the_picture_on_the_left_is_what_the_detector_finds_without_memory(make_detector):  # noqa: F811
    annotator, stream = Annotator(make_detector()), DemoStream()
    clip = np.random.default_rng(0).integers(0, 256, (4, 96, 128, 3), np.uint8)
    shown = [annotator.annotate(image, stream, 0.1, beside=True) for image in clip]
    remembering, forgetful = make_detector(), make_detector()
    differ = False
    for (url, status), image in zip(shown, clip, strict=True):
        forgetful.reset()
        right, left = (detections_of(one(image), one.classes, 0.1) for one in (remembering, forgetful))
        gap = np.full((96, 4, 3), 255, np.uint8)
        expected = np.hstack([draw_detections(image, left), gap, draw_detections(image, right)])
        assert b64decode(url.split(',')[1]) == cv2.imencode('.jpg', expected)[1].tobytes()
        assert f'detections: {len(right)} (without memory: {len(left)})' in status
        differ |= left != right
    assert differ


def test_a_long_pause_of_a_camera_is_a_gap(detector, image, monkeypatch):
    annotator, stream = Annotator(detector), DemoStream()
    times = iter([0, 10 * 10 ** 9, 10 * 10 ** 9 + 1, 21 * 10 ** 9])
    monkeypatch.setattr(annotating.time, 'monotonic_ns', lambda: next(times))
    assert states([annotator.annotate(image, stream, 0) for _ in range(4)]) == [
        '1 since reset (new)', '2 since reset (new)', '3 since reset (new)', '1 since reset (gap)']


def test_each_video_is_a_new_stream_of_all_its_frames_in_order(detector, video_file, video_number):
    annotator, stream, path = Annotator(detector), DemoStream(), str(video_file(n=4, fps=100))
    for _ in range(2):
        answers = list(annotator.annotate_video(path, stream, 0.6))
        assert states(answers) == [f'{k} since reset (new)' for k in (1, 2, 3, 4)]
        assert [video_number(decoded(url)) for url, _ in answers] == [0, 1, 2, 3]


def claim_size(path, side):
    """Change the size in an mp4's sample entry, and make its frames undecodable so that nothing contradicts it."""
    data = bytearray(path.read_bytes())
    size, media = data.index(b'avc1', data.index(b'stsd')) + 28, data.index(b'mdat')
    data[size:size + 4] = 2 * side.to_bytes(2, 'big')
    data[media + 4:] = bytes(len(data) - media - 4)  # the last box
    path.write_bytes(data)


@pytest.mark.parametrize(('name', 'fact'), [
    ('empty.mp4', 'cannot be read as a video'), ('text.mp4', 'cannot be read as a video'),
    ('playlist.mp4', 'cannot be read as a video'), ('truncated.mp4', 'cut off'), ('huge.mp4', '16000 x 16000'),
    ('grows.ts', '128 x 96'), ('many.mp4', '12'), ('many.avi', '12')])
def test_a_bad_upload_is_refused(detector, video_file, tmp_path, monkeypatch, name, fact):
    path = tmp_path / name
    monkeypatch.setattr(annotating, '_MOST_FRAMES', 12)
    if name.startswith('many'):
        video_file(name, n=13, codec='mpeg4', bf='0')
    elif name == 'truncated.mp4':
        path.write_bytes(video_file(name, muxer={'movflags': 'faststart'}).read_bytes()[:-500])
    elif name == 'huge.mp4':
        claim_size(video_file(name, muxer={'movflags': 'faststart'}), 16000)
    elif name == 'grows.ts':
        monkeypatch.setattr(annotating, '_MOST_PIXELS', 10_000)
        large = video_file('large.ts', n=5, height=96, width=128, stamps=[*range(5, 10)])
        path.write_bytes(video_file(name, n=5).read_bytes() + large.read_bytes())
    else:
        secret = video_file('secret.ts')
        path.write_text({'empty.mp4': '', 'text.mp4': 'not a video ' * 99,
                         'playlist.mp4': f'ffconcat version 1.0\nfile {secret}\n'}[name])
    with pytest.raises(InputError) as refusal:
        list(Annotator(detector).annotate_video(str(path), DemoStream(), 0))
    assert fact in str(refusal.value)
    assert len(detector.frames) == (5 if name == 'grows.ts' else 0)
