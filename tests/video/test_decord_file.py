"""decord reads a file only where the packets prove that its frames are those of sequential decoding.

Without the extra ``[decord]`` a stand-in reads; the rule itself needs neither.
"""

import importlib.util
import logging
import pickle
import random
import struct
import sys
from types import ModuleType, SimpleNamespace

import av
import numpy as np
import pytest

from tests.displayed import MIRRORS, ROTATIONS, write_matrix
from tsm_det.datasets.load_frame import LoadFrame
from tsm_det.errors import InputError
from tsm_det.video.decord_file import DecordFile, open_frames, packet_doubt
from tsm_det.video.video_file import VideoFile

CLOSED = {'x264-params': 'b-adapt=0:scenecut=0', 'g': '12'}
OPEN = {'x264-params': 'open-gop=1:keyint=12:b-adapt=0:scenecut=0'}
HEVC = {'codec': 'libx265'}
HARMLESS = {
    'closed GOP': CLOSED,
    'one key frame': {**CLOSED, 'g': '250'},
    'no B-frames': {'bf': '0', 'g': '12'},
    'matroska': {**CLOSED, 'name': 'video.mkv'},
    'variable rate': {**CLOSED, 'stamps': [k + k // 3 + 50 * (k > 20) for k in range(40)]},
    'late start': {**CLOSED, 'stamps': range(90, 130)},
    'fragments': {**CLOSED, 'muxer': {'movflags': 'frag_keyframe+empty_moov'}},
    'VP9': {'name': 'video.webm', 'codec': 'libvpx-vp9', 'deadline': 'good', 'cpu-used': '8', 'g': '20'},
    'HEVC, closed GOP': {**HEVC, 'x265-params': 'open-gop=0:keyint=12:min-keyint=12:scenecut=0:log-level=none'},
}
HARMFUL = {
    'open GOP': OPEN,
    'open GOP in matroska': {**OPEN, 'name': 'video.mkv'},
    'intra refresh': {'x264-params': 'intra-refresh=1:keyint=10:scenecut=0', 'bf': '0'},
    'HEVC, open GOP': {**HEVC, 'x265-params': 'open-gop=1:keyint=12:min-keyint=12:scenecut=0:log-level=none'},
    'AVI': {'name': 'video.avi', 'codec': 'mpeg4', 'bf': '2', 'g': '12'},
    'MPEG-4 with B-frames': {'codec': 'mpeg4', 'bf': '2', 'g': '12'},
    'transport stream': {**CLOSED, 'name': 'video.ts'},
    'bare stream': {**CLOSED, 'name': 'video.h264'},
}
# Other pictures, though of the right frame.
OTHER_PICTURES = {
    'ten bits': {**CLOSED, 'pix_fmt': 'yuv420p10le'},
    'odd width': {**CLOSED, 'width': 72, 'pix_fmt': 'yuv444p'},
}


@pytest.fixture
def made(video_file):
    def made(keys):
        if keys.get('codec', 'libx264') not in av.codecs_available:
            pytest.skip('this PyAV has no such encoder')
        return str(video_file(**keys))
    return made


@pytest.fixture(autouse=True)
def decord(monkeypatch):
    """The real one if it is installed; else a stand-in, which decodes the whole file ahead at each read."""
    if importlib.util.find_spec('decord'):
        return None
    module = ModuleType('decord')
    module.readers, module.DECORDError = [], RuntimeError

    class VideoReader:
        def __init__(self, path, num_threads):
            self._video, self.ahead, self.most_read = VideoFile(path), [], 0
            module.readers.append(self)

        def __len__(self):
            return len(self._video)

        def get_batch(self, numbers):
            self.most_read = max(self.most_read, len(numbers))
            self.ahead = list(range(numbers[-1] + 1, len(self)))
            images = np.stack([self._video.read(k)[..., ::-1] for k in numbers])
            return SimpleNamespace(asnumpy=lambda: images)

        def seek(self, _):
            self.ahead = []
    module.VideoReader = VideoReader
    monkeypatch.setitem(sys.modules, 'decord', module)
    return module


def hide(path, shown, from_tick):
    """Change the edit list of an mp4: how long it shows, from which tick on."""
    content = bytearray(path.read_bytes())
    place = content.index(b'elst') + 12
    duration, start = struct.unpack_from('>Ii', content, place)
    struct.pack_into('>Ii', content, place, round(shown * duration), start + from_tick)
    path.write_bytes(content)


def assert_equal_frames(path):
    """In any order."""
    video, expected = open_frames(path, 'decord'), VideoFile(path)
    order = list(range(len(expected))) * 2
    random.Random(0).shuffle(order)
    assert all(np.array_equal(video.read(k), expected.read(k)) for k in order)
    assert video.times_s == expected.times_s


@pytest.mark.parametrize('keys', HARMLESS.values(), ids=HARMLESS)
def test_a_harmless_file_is_read_by_decord(made, keys):
    path = made(keys)
    assert packet_doubt(path) is None
    assert type(open_frames(path, 'decord')) is DecordFile
    assert_equal_frames(path)


@pytest.mark.parametrize('keys', HARMFUL.values(), ids=HARMFUL)
def test_another_file_is_read_by_pyav_and_the_log_says_why(made, keys, caplog):
    path = made(keys)
    reason = packet_doubt(path)
    assert reason
    with caplog.at_level(logging.WARNING):
        assert type(open_frames(path, 'decord')) is VideoFile
        open_frames(path, 'decord')
    assert [path in record.getMessage() and reason in record.getMessage() for record in caplog.records] == [True]
    assert_equal_frames(path)


@pytest.mark.parametrize(('shown', 'from_frame'), [(1, 13), (1, 12), (0.5, 0), (0.5, 13)])
def test_an_edit_list_that_hides_frames_is_left_to_pyav(video_file, shown, from_frame):
    path = video_file(**CLOSED)
    hide(path, shown, from_frame * 512)
    assert packet_doubt(str(path))
    assert_equal_frames(str(path))


@pytest.mark.parametrize('matrix', ROTATIONS + MIRRORS)
def test_a_turned_video_is_left_to_pyav(video_file, matrix):
    path = video_file(**CLOSED)
    write_matrix(path, matrix)
    assert type(open_frames(path, 'decord')) is VideoFile


@pytest.mark.parametrize('keys', OTHER_PICTURES.values(), ids=OTHER_PICTURES)
def test_pictures_equal_those_of_pyav(made, keys):
    assert_equal_frames(made(keys))


def test_other_pictures_are_left_to_pyav(made, decord):
    if decord is None:
        pytest.skip('the real decord gives the same pictures')
    whole = decord.VideoReader.get_batch
    decord.VideoReader.get_batch = lambda *given: SimpleNamespace(asnumpy=lambda: whole(*given).asnumpy() ^ 1)
    assert type(open_frames(made(CLOSED), 'decord')) is VideoFile


def test_few_frames_are_held_and_none_is_decoded_ahead(made, decord):
    if decord is None:
        pytest.skip('the real decord does not say what it holds')
    video = open_frames(made(CLOSED), 'decord')
    for k in [*range(40), 3, 30]:
        video.read(k)
        assert decord.readers[-1].ahead == []
    assert decord.readers[-1].most_read <= 8


def test_errors_of_decord_are_input_errors(made, decord):
    if decord is None:
        pytest.skip('needs a decord that fails on request')
    path = made(CLOSED)
    video = open_frames(path, 'decord')

    def fail(*_):
        raise decord.DECORDError('many\nlines')
    decord.VideoReader.get_batch = fail
    with pytest.raises(InputError, match=path):
        video.read(0)


def test_each_read_gives_a_new_array_and_a_pickle_holds_the_path(made):
    video = open_frames(made(CLOSED), 'decord')
    video.read(3)[:] = 0
    assert video.read(3).any()
    again = pickle.loads(pickle.dumps(video))
    assert type(again) is DecordFile
    assert np.array_equal(again.read(3), video.read(3))
    with pytest.raises(InputError, match='frame 40 of'):
        video.read(40)


@pytest.mark.parametrize('keys', [CLOSED, OPEN])
def test_load_frame_gives_the_same_frames_by_either_reader(made, keys):
    path = made(keys)
    ours, theirs = LoadFrame(), LoadFrame(reader='decord')
    for k in (0, 39, 12, 13, 5):
        frame = {'img_path': path, 'frame_in_file': k}
        assert np.array_equal(ours(dict(frame))['img'], theirs(dict(frame))['img'])
        assert np.array_equal(ours(dict(frame))['img'], ours({**frame, 'reader': 'decord'})['img'])
    assert type(theirs._video) is (DecordFile if keys is CLOSED else VideoFile)


@pytest.mark.parametrize('build', [
    lambda reader: LoadFrame(reader=reader), lambda reader: open_frames('a.mp4', reader)])
def test_a_reader_that_cannot_be_had_is_refused(monkeypatch, build):
    with pytest.raises(InputError, match=r"'opencv'.*pyav, decord"):
        build('opencv')
    monkeypatch.setitem(sys.modules, 'decord', None)
    with pytest.raises(InputError, match=r'pip install .tsm_det\[decord\]'):
        build('decord')
