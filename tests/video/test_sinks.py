"""Result files, and the drawing of detections."""

import itertools
import json
import os
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from tsm_det.errors import InputError
from tsm_det.video.drawing import draw_detections, label_colour
from tsm_det.video.sinks import Encoding, JsonLinesSink, VideoSink
from tsm_det.video.trails import Trails
from tsm_det.video.video_file import VideoFile

CAT = {'bbox': [1.5, 2.0, 30.25, 40.0], 'score': 0.75, 'label': 0, 'class': 'cat'}


def test_json_lines_have_the_documented_form(tmp_path):
    path = tmp_path / 'made' / 'out.jsonl'
    with JsonLinesSink(path) as sink:
        sink.write(0, 0.0, 'road', 'new', [CAT])
        assert json.loads(path.read_text())['frame_id'] == 0, 'readable at once'
        sink.write(1, 0.04, 'road', None, [])
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {'frame_id': 0, 'time_s': 0.0, 'stream': 'road', 'reset': 'new', 'detections': [CAT]},
        {'frame_id': 1, 'time_s': 0.04, 'stream': 'road', 'reset': None, 'detections': []}]


@pytest.mark.parametrize('broken', [{'score': float('nan')}, {'bbox': [0, 0, float('inf'), 1]}])
def test_a_number_that_is_not_finite_is_never_written(tmp_path, broken):
    with JsonLinesSink(tmp_path / 'out.jsonl') as sink:
        with pytest.raises(InputError, match='frame 7 of road are not all finite'):
            sink.write(7, 0.0, 'road', None, [{**CAT, **broken}])
        sink.write(8, 0.0, 'road', None, [])
    assert json.loads((tmp_path / 'out.jsonl').read_text())['frame_id'] == 8


@pytest.mark.parametrize('foreign', ['notes of mine\n', 'notes', '[1, 2]\n', '{"frame_id": 0}\n', '\n', '5\n',
                                     '{"stream": "road", "frame_id": "first"}\n', '\x00\xff\n'])
@pytest.mark.parametrize('ours', [0, 2])
def test_a_file_of_other_lines_is_not_cut(tmp_path, foreign, ours):
    path = tmp_path / 'out.jsonl'
    with JsonLinesSink(path) as sink:
        for k in range(ours):
            sink.write(k, 0.0, 'road', None, [])
    path.write_bytes(path.read_bytes() + foreign.encode('latin-1'))
    before = path.read_bytes()
    with pytest.raises(InputError, match=f'line {ours + 1} of .*out.jsonl'):
        JsonLinesSink(path, {'road': 5})
    assert path.read_bytes() == before


@pytest.mark.parametrize('length', [1, 5, 20, 60])
def test_a_line_that_a_killed_process_left_incomplete_is_cut(tmp_path, length):
    path = tmp_path / 'out.jsonl'
    with JsonLinesSink(path) as sink:
        sink.write(0, 0.0, 'road', None, [CAT])
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:length])
    with JsonLinesSink(path, {'road': 5}):
        assert path.read_bytes() == whole


@pytest.mark.parametrize(('height', 'width'), [(48, 64), (47, 64), (48, 63), (47, 63)])
def test_a_video_can_be_read_back(tmp_path, video_frame, video_number, height, width):
    with VideoSink(tmp_path / 'made' / 'out.mp4', fps=12.5) as sink:
        for k in range(30):
            sink.write(video_frame(k)[:height, :width], k / 12.5)
    video = VideoFile(tmp_path / 'made' / 'out.mp4')
    assert {frame.shape for frame in video} == {(48, 64, 3)}
    assert [video_number(frame) for frame in video] == list(range(30))
    assert video.fps == 12.5
    assert os.listdir(tmp_path / 'made') == ['out.mp4']


def test_a_video_plays_in_browsers(tmp_path, video_frame):
    with VideoSink(tmp_path / 'out.mp4', fps=25) as sink:
        sink.write(video_frame(0), 0)
    with av.open(str(tmp_path / 'out.mp4')) as container:
        stream = container.streams.video[0]
        assert (stream.codec.canonical_name, stream.pix_fmt, stream.start_time) == ('h264', 'yuv420p', 0)


def test_the_file_on_disk_plays_before_the_end(tmp_path, video_frame, video_number):
    with VideoSink(tmp_path / 'out.mp4', fps=5) as sink:
        for k in range(60):
            sink.write(video_frame(k), k / 5)
        part = list(VideoFile(tmp_path / 'out.part.mp4'))
        assert not (tmp_path / 'out.mp4').exists()
    assert [video_number(frame) for frame in part] == list(range(len(part)))
    assert len(part) >= 20


def test_frames_before_an_error_are_kept(tmp_path, video_frame):
    with pytest.raises(KeyboardInterrupt), VideoSink(tmp_path / 'out.mp4', fps=25) as sink:
        sink.write(video_frame(0), 0)
        raise KeyboardInterrupt
    assert len(VideoFile(tmp_path / 'out.mp4')) == 1


def test_frames_of_another_size_are_scaled_to_the_first(tmp_path, video_frame):
    with VideoSink(tmp_path / 'out.mp4', fps=25) as sink:
        sink.write(video_frame(0), 0)
        sink.write(video_frame(1, 96, 200), 0.04)
    assert [frame.shape for frame in VideoFile(tmp_path / 'out.mp4')] == [(48, 64, 3)] * 2


def test_frames_with_times_are_shown_at_them(tmp_path, video_frame):
    times_s = [5.0, 5.1, 5.1, 6.5, 6.55, 9.0]
    with VideoSink(tmp_path / 'out.mp4', 30) as sink:
        for k, time_s in enumerate(times_s):
            sink.write(video_frame(k, 96, 128), time_s)
    with av.open(str(tmp_path / 'out.mp4')) as container:
        shown_s = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    assert shown_s == pytest.approx([0, 0.1, 0.1, 1.5, 1.55, 4], abs=1e-3)


@pytest.mark.parametrize('fps', [2.5, 24, 25, 30, 60, Fraction(24000, 1001), Fraction(30000, 1001)])
@pytest.mark.parametrize('n', [1, 2, 30])
def test_a_constant_rate_is_kept_to_the_digit(tmp_path, video_frame, fps, n):
    with VideoSink(tmp_path / 'out.mp4', float(fps)) as sink:
        for k in range(n):
            sink.write(video_frame(k), float(k / fps))
    with av.open(str(tmp_path / 'out.mp4')) as container:
        assert container.streams.video[0].average_rate == fps


def test_no_frame_is_no_file(tmp_path):
    with VideoSink(tmp_path / 'out.mp4', fps=25):
        pass
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize('fps', [12.5, 30000 / 1001, 120000 / 1001])
def test_without_libx264_it_writes_mpeg4(tmp_path, video_frame, video_number, monkeypatch, fps):
    monkeypatch.setattr(av, 'codecs_available', set())
    with VideoSink(tmp_path / 'out.mp4', fps) as sink:
        for k in range(30):
            sink.write(video_frame(k), k / 10)
    video = VideoFile(tmp_path / 'out.mp4')
    assert [video_number(image) for image in video] == list(range(30))
    assert video.times_s == pytest.approx([k / 10 for k in range(30)], abs=1e-4)


@pytest.mark.parametrize('sink', [JsonLinesSink, lambda path: VideoSink(path, fps=25)])
@pytest.mark.parametrize('place', ['a_file/out.mp4', 'a_folder.mp4'])
def test_a_path_that_cannot_be_written_is_refused(tmp_path, sink, place):
    (tmp_path / 'a_file').touch()
    (tmp_path / 'a_folder.mp4').mkdir()
    with pytest.raises(InputError, match=str(tmp_path / place)), sink(tmp_path / place):
        pass


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs a device that is always full')
def test_a_full_disk_is_reported(tmp_path, video_frame):
    with pytest.raises(InputError, match='No space left'), JsonLinesSink('/dev/full') as lines:
        lines.write(0, 0.0, 'road', None, [])
    with pytest.raises(InputError, match='No space left'), VideoSink(tmp_path / 'out.mp4', fps=5) as video:
        (tmp_path / 'out.part.mp4').symlink_to('/dev/full')
        for k in range(60):
            video.write(video_frame(k), k / 5)
    assert not (tmp_path / 'out.mp4').exists()


def test_drawing_marks_the_box_in_a_copy():
    image = np.full((200, 300, 3), 77, np.uint8)
    drawn = draw_detections(image, [{**CAT, 'bbox': [50, 60, 250, 180]}])
    assert (image == 77).all()
    assert tuple(drawn[180, 150]) == label_colour(0)
    assert tuple(drawn[120, 150]) == (77, 77, 77)


@pytest.mark.parametrize('box', [[-50, -60, 20, 30], [280, 190, 400, 300], [0, 0, 300, 200], [299, 0, 300, 2],
                                 [5e9, 5e9, 6e9, 6e9], [10, 10, 10, 10]])
def test_a_label_is_whole_wherever_the_box_is(box):
    empty = np.zeros((200, 300, 3), np.uint8)
    rows, columns = np.nonzero(draw_detections(empty, [{**CAT, 'bbox': [100, 100, 100, 100]}]).any(-1))
    label = draw_detections(empty, [{**CAT, 'bbox': [100, 100, 100, 100]}])[rows.min():100, 100:columns.max() + 1]
    found = cv2.matchTemplate(draw_detections(empty, [{**CAT, 'bbox': box}]), label, cv2.TM_SQDIFF)
    assert label.shape[1] > label.shape[0] > 8
    assert found.min() < 1


def test_a_long_name_fits_into_a_small_frame():
    drawn = draw_detections(np.zeros((40, 48, 3), np.uint8), [{**CAT, 'class': 'domestic_cat', 'bbox': [30, 5, 40, 9]}])
    assert drawn.any(axis=(0, 2))[[0, -1]].all()


def test_colours_are_stable_and_distinct():
    colours = [label_colour(label) for label in range(30)]
    assert colours == [label_colour(label) for label in range(30)]
    assert min(np.abs(np.subtract(a, b)).sum() for a, b in itertools.combinations(colours, 2)) > 20


@pytest.mark.parametrize('encoding', [Encoding(preset='ultrafast'), Encoding(encoder='mpeg4', preset=None)])
def test_another_encoder_or_preset_writes_the_same_frames_at_the_same_times(tmp_path, encoding, video_frame):
    encoding.check()
    with VideoSink(tmp_path / 'out.mp4', 25, encoding) as sink:
        for k in range(5):
            sink.write(video_frame(k, 48, 64), k / 25)
    with av.open(str(tmp_path / 'out.mp4')) as container:
        frames = list(container.decode(video=0))
    assert [round(frame.time * 25) for frame in frames] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize('encoding', [
    Encoding('no-such-encoder', None), Encoding(preset='no-such-preset'), Encoding('aac', None),
    Encoding('rawvideo', None), Encoding('mov_text', None)])
def test_an_encoder_that_cannot_be_opened_is_refused(encoding):
    with pytest.raises(InputError, match=encoding.encoder):
        encoding.check()


def test_a_track_has_its_own_colour_id_and_trail():
    empty, trails = np.zeros((200, 300, 3), np.uint8), Trails()
    for k in range(4):
        shown = [{**CAT, 'bbox': [40 + 40 * k, 80, 60 + 40 * k, 120], 'track_id': track_id} for track_id in (5,)]
        drawn = draw_detections(empty, shown, trails(shown))
    colour = label_colour(5)
    assert tuple(drawn[120, 170]) == colour != label_colour(CAT['label'])
    assert all(tuple(drawn[100, x]) == colour for x in range(52, 170))
    assert not drawn[100, :48].any() and not drawn[100, 182:].any()
    assert (draw_detections(empty, [{**CAT, 'track_id': 5}]) != draw_detections(empty, [{**CAT, 'track_id': 35}])).any()


def test_a_trail_ends_with_its_track_and_is_as_long_as_30_frames():
    trails = Trails()
    seen = [trails([{**CAT, 'bbox': [k, 0, k + 2, 4], 'track_id': 1 + (k >= 40)}, CAT]) for k in range(50)]
    assert seen[0] == {1: [(1, 2)]}
    assert seen[39] == {1: [(k + 1, 2) for k in range(10, 40)]}
    assert seen[41] == {2: [(41, 2), (42, 2)]}
