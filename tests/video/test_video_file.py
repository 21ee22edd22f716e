"""Frame k of a video file is the k-th of sequential decoding, in any format and reading order."""

import gc
import multiprocessing
import pickle
import random
import struct
from fractions import Fraction
from itertools import accumulate

import av
import cv2
import numpy as np
import pytest

from tests.displayed import MIRRORS, ROTATIONS, displayed, write_matrix
from tests.open_files import needs_proc, open_files
from tsm_det.errors import InputError
from tsm_det.video.video_file import VideoFile

CLOSED = {'x264-params': 'b-adapt=0:scenecut=0'}
OPEN_GOP = {'x264-params': 'open-gop=1:keyint=12:b-adapt=0:scenecut=0'}
INTRA_REFRESH = {'x264-params': 'intra-refresh=1:keyint=10:scenecut=0', 'bf': '0'}
FILES = {
    'long GOP': CLOSED,
    'short GOP': {**CLOSED, 'g': '7'},
    'open GOP': OPEN_GOP,
    'intra refresh': INTRA_REFRESH,
    'odd size': {**CLOSED, 'height': 49, 'width': 72, 'pix_fmt': 'yuv444p'},
    'ten bits': {**CLOSED, 'pix_fmt': 'yuv420p10le'},
    'one frame': {'n': 1},
    'variable frame rate': {**CLOSED, 'stamps': [k + k // 3 + 50 * (k > 20) for k in range(40)]},
    'late start': {**CLOSED, 'stamps': range(90, 130)},
    'fragments': {**CLOSED, 'g': '10', 'muxer': {'movflags': 'frag_keyframe+empty_moov'}},
    'matroska': {**CLOSED, 'name': 'video.mkv', 'g': '9'},
    'transport stream': {**OPEN_GOP, 'name': 'video.ts'},
    'AVI': {'name': 'video.avi', 'codec': 'mpeg4', 'bf': '2', 'g': '12'},
    'program stream': {'name': 'video.mpg', 'codec': 'mpeg2video', 'g': '12'},
    'VP9': {'name': 'video.webm', 'codec': 'libvpx-vp9', 'deadline': 'realtime', 'cpu-used': '8'},
    'AV1': {'codec': 'libsvtav1', 'preset': '12'},
    'raw stream': {**CLOSED, 'name': 'video.h264'},
    'GIF': {'name': 'video.gif', 'codec': 'gif', 'pix_fmt': 'rgb8'},
}


def sequentially(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format='bgr24') for frame in container.decode(video=0)]


def shuffled(n):
    order = list(range(n))
    random.Random(0).shuffle(order)
    return order


@pytest.mark.parametrize('options', FILES.values(), ids=FILES)
def test_any_order_gives_the_frames_of_sequential_decoding(video_file, video_number, options):
    if options.get('codec', 'libx264') not in av.codecs_available:
        pytest.skip('this PyAV has no such encoder')
    path = video_file(**options)
    expected, video = sequentially(path), VideoFile(path)
    assert [video_number(frame) for frame in expected] == list(range(options.get('n', 40)))
    for order in (range(len(expected)), reversed(range(len(expected))), shuffled(len(expected))):
        assert all(np.array_equal(video.read(k), expected[k]) for k in order)
    assert len(video) == len(expected)
    assert all(map(np.array_equal, video, expected))


def test_opencv_agrees(video_file):
    path = video_file(**OPEN_GOP)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    assert all(np.array_equal(frame, capture.read()[1]) for frame in VideoFile(path))
    assert not capture.read()[0]


def test_frames_hidden_by_the_edit_list_are_skipped(video_file, video_number):
    path = video_file(g='10', **CLOSED)
    content = bytearray(path.read_bytes())
    edit = content.index(b'elst') + 12
    duration, start = struct.unpack_from('>Ii', content, edit)
    struct.pack_into('>Ii', content, edit, duration // 2, start + 13 * 12800 // 25)
    path.write_bytes(content)
    video = VideoFile(path)
    assert [video_number(frame) for frame in video] == list(range(13, 33))
    assert [video_number(video.read(k)) for k in (15, 0, 19)] == [28, 13, 32]


@pytest.mark.parametrize('name', ['video.mp4', 'video.mov'])
@pytest.mark.parametrize('matrix', ROTATIONS + MIRRORS)
def test_frames_have_the_displayed_orientation(video_file, name, matrix):
    path = video_file(name, n=3)
    stored = sequentially(path)
    write_matrix(path, matrix)
    assert all(np.array_equal(frame, displayed(image, matrix))
               for frame, image in zip(VideoFile(path), stored, strict=True))
    if matrix in ROTATIONS:  # OpenCV mirrors nothing
        assert np.array_equal(VideoFile(path).read(0), cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).read()[1])


@pytest.mark.parametrize('matrix', [(1, 0, 0, 1), (2, 0, 0, 2), (0, 0, 0, 0), (1, 1, -1, 1)])
def test_a_matrix_without_quarter_turns_or_mirrors_changes_nothing(video_file, matrix):
    path = video_file(n=1)
    stored = sequentially(path)
    write_matrix(path, matrix)
    assert np.array_equal(VideoFile(path).read(0), stored[0])


def test_each_read_gives_a_new_array(video_file):
    video = VideoFile(video_file(n=2))
    first = video.read(0)
    first[:] = 0
    assert video.read(0).any()


@pytest.mark.parametrize('name', ['video.mp4', 'video.mkv', 'video.avi'])
@pytest.mark.parametrize(('n', 'fps'), [(2, 30), (40, 30), (40, Fraction(30000, 1001)), (40, 24)])
def test_a_constant_rate_is_stated_to_the_digit(video_file, name, n, fps):
    assert VideoFile(video_file(name, n=n, fps=fps)).fps == float(fps)


@pytest.mark.parametrize('name', ['video.mp4', 'video.mkv', 'video.ts'])
@pytest.mark.parametrize('steps', [[1] * 20 + [2] * 19, [1, 2] * 19 + [1], [1] * 38 + [60]])
def test_the_fps_of_a_varying_rate_is_the_mean(video_file, name, steps):
    """A phone's camera takes fewer frames in the dark."""
    stamps = list(accumulate(steps, initial=0))
    path = video_file(name, fps=30, stamps=stamps, bf='0')
    assert VideoFile(path).fps == pytest.approx(30 * 39 / stamps[-1], rel=0.02)


def test_a_pickle_holds_the_path_only(video_file):
    video = VideoFile(video_file())
    video.read(20)
    assert len(pickle.dumps(video)) < 500
    assert np.array_equal(pickle.loads(pickle.dumps(video)).read(21), video.read(21))


def test_a_forked_process_does_not_disturb_its_parent(video_file, video_number):
    video = VideoFile(video_file())
    video.read(3)
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context('fork').Process(
        target=lambda: there.send([video_number(video.read(k)) for k in (4, 30, 2)]))
    child.start()
    assert here.poll(30)
    assert here.recv() == [4, 30, 2]
    child.join()
    assert [video_number(video.read(k)) for k in (4, 31, 1)] == [4, 31, 1]


@needs_proc
def test_files_are_closed_without_waiting_for_the_garbage_collector(video_file):
    path = str(video_file())
    gc.disable()
    try:
        video = VideoFile(path)
        video.read(0)
        assert path in open_files()
        del video
        assert path not in open_files()
    finally:
        gc.enable()


def test_a_changed_file_is_read_as_it_is_now(video_file):
    assert len(VideoFile(video_file(n=5))) == 5
    assert len(VideoFile(video_file(n=7))) == 7


@pytest.mark.parametrize('k', [-1, 5])
def test_a_frame_out_of_range_is_refused(video_file, k):
    with pytest.raises(InputError, match=f'frame {k} of .*video.mp4 .* frames 0 to 4'):
        VideoFile(video_file(n=5)).read(k)


@pytest.mark.parametrize('name', ['missing.mp4', 'folder.mp4', 'empty.mp4', 'words.mp4', 'words.txt', 'song.wav'])
def test_a_file_without_video_is_refused(tmp_path, name):
    path = tmp_path / name
    (tmp_path / 'folder.mp4').mkdir()
    (tmp_path / 'empty.mp4').touch()
    if path.stem == 'words':
        path.write_text('some words\n' * 200)
    elif path.suffix == '.wav':
        with av.open(str(path), 'w') as container:
            container.mux(container.add_stream('pcm_s16le', rate=8000).encode())
    with pytest.raises(InputError, match=path.name):
        VideoFile(path)


@pytest.mark.parametrize('muxer', [{}, {'movflags': 'faststart'}, {'movflags': 'frag_keyframe+empty_moov'}])
def test_a_file_that_is_cut_off_is_refused(video_file, muxer):
    path = video_file(muxer=muxer, **CLOSED)
    path.write_bytes(path.read_bytes()[:path.stat().st_size * 6 // 10])
    with pytest.raises(InputError, match=r'video\.mp4 is cut off'):
        VideoFile(path)


def test_damage_is_reported_at_its_frame(video_file, video_number):
    path = video_file(n=60, g='20', muxer={'movflags': 'faststart'}, **CLOSED)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][25]
    content[packet.pos:packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    video = VideoFile(path)
    with pytest.raises(InputError, match=r'frame 2\d of .*video.mp4 cannot be decoded'):
        list(video)
    assert [video_number(video.read(k)) for k in (10, 50)] == [10, 50]
