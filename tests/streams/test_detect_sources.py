"""From sources to files, by one call."""

import csv
import json
import os
import shutil
from xml.etree import ElementTree

import av
import cv2
import numpy as np
import pytest

from tsm_det import OnlineDetector, config_path
from tsm_det.config import load_config
from tsm_det.datasets.load_frame import LoadFrame
from tsm_det.errors import InputError
from tsm_det.streams import progress as module
from tsm_det.streams.detect_sources import detect_sources, open_sources
from tsm_det.video import cameras
from tsm_det.video.connection import Connection
from tsm_det.video.exports import Exports
from tsm_det.video.outputs import Outputs


@pytest.fixture
def videos(tmp_path):
    """Two folders, each with a video.mp4 of noise, of 9 and of 5 frames."""
    paths = []
    for seed, (folder, n) in enumerate((('east', 9), ('west', 5))):
        paths.append(tmp_path / folder / 'video.mp4')
        paths[-1].parent.mkdir()
        with av.open(str(paths[-1]), 'w') as container:
            stream = container.add_stream('libx264', rate=10, options={'g': '3', 'bf': '0'})
            stream.width = stream.height = 128
            for image in np.random.default_rng(seed).integers(0, 256, (n, 128, 128, 3), dtype=np.uint8):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='bgr24')))
            container.mux(stream.encode())
    return [str(path) for path in paths]


def run(detector, names, path, **keys):
    """The lines of a run over these sources."""
    detect_sources(detector, open_sources(names), json_lines=str(path), score_thr=0, **keys)
    return read(path)


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def num_frames(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_sources_in_one_batch_give_the_detections_of_each_alone(make_detector, videos, tmp_path):
    together = run(make_detector(), videos, tmp_path / 'both.jsonl')
    assert [(line['stream'] == videos[0], line['frame_id']) for line in together[:4]] == [
        (True, 0), (False, 0), (True, 1), (False, 1)]
    for name, n in zip(videos, (9, 5), strict=True):
        mine = [line for line in together if line['stream'] == name]
        alone = run(make_detector(), [name], tmp_path / 'one.jsonl')
        assert [line['reset'] for line in mine] == ['new', *[None] * (n - 1)]
        for one, other in zip(mine, alone, strict=True):
            assert (one['frame_id'], one['time_s']) == (other['frame_id'], other['time_s'])
            boxes, expected = (np.array([box['bbox'] for box in line['detections']]) for line in (one, other))
            np.testing.assert_allclose(boxes, expected, atol=0.011)  # the lines are rounded


def test_a_video_of_each_source_is_drawn_into_a_folder(make_detector, videos, tmp_path):
    sources = open_sources(videos)
    assert [source.name for source in sources] == videos  # both files are named video.mp4
    assert detect_sources(make_detector(), sources, out=str(tmp_path / 'drawn')) == 14
    assert {path.name: num_frames(path) for path in (tmp_path / 'drawn').iterdir()} == {
        'video.mp4': 9, 'video-1.mp4': 5}


def test_one_output_file_for_several_videos_is_refused(make_detector, videos):
    with pytest.raises(InputError, match='--out is out.mp4 but 2 source'):
        detect_sources(make_detector(), open_sources(videos), out='out.mp4')


def test_a_folder_named_like_a_webcam_keeps_its_path_as_name(monkeypatch, tmp_path):
    monkeypatch.setattr(cameras, 'connect', lambda *_: Connection(iter(()), 25.0))
    (tmp_path / '0').mkdir()
    cv2.imwrite(str(tmp_path / '0' / 'a.png'), np.zeros((8, 8, 3), np.uint8))
    assert [source.name for source in open_sources(['0', str(tmp_path / '0')])] == ['0', str(tmp_path / '0')]


@pytest.mark.parametrize('names', [
    ['video.mp4', 'b.mp4', 'video.mp4'], ['rtsp://u:a@cam/1', 'rtsp://u:b@cam/1'], ['rtsp://u:a@cam/1', 'rtsp://u@cam/1']])
def test_a_source_named_twice_is_refused_whatever_the_passwords(names):
    with pytest.raises(InputError, match=r'(video.mp4|rtsp://u@cam/1) is named twice'):
        open_sources(names)


@pytest.mark.parametrize('letter', ['\udce9', '\x01'])
def test_a_name_that_is_no_text_is_escaped_in_every_output(make_detector, videos, tmp_path, letter):
    path, out = tmp_path / f'caf{letter}.mp4', tmp_path / 'out'
    shutil.copyfile(videos[1], path)
    exports = Exports(csv=str(out / 'a.csv'), mot=str(out), cvat=str(out / 'a.xml'), coco=str(out / 'a.json'))
    lines = run(make_detector(), [str(path)], out / 'a.jsonl', exports=exports)
    name = rf'caf\{"udce9" if letter > "a" else "x01"}.mp4'
    assert {line['stream'] for line in lines} == {name}
    with open(out / 'a.csv', newline='', encoding='utf-8') as file:
        assert {row['stream'] for row in csv.DictReader(file)} == {name}
    assert ElementTree.parse(out / 'a.xml').findtext('meta/source') == name


def test_labels_beside_a_video_are_not_replaced_by_its_table(make_detector, videos, tmp_path):
    labels, sources = tmp_path / 'video.csv', open_sources(videos[1:])
    labels.write_text('frame,x,y,w,h,label\n0,1,2,3,4,bird\n')
    with pytest.raises(InputError, match='--csv is .*video.csv'):
        detect_sources(make_detector(), sources, exports=Exports(csv=str(labels)))
    assert 'bird' in labels.read_text()
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(InputError, match='pipe cannot be written'):
        detect_sources(make_detector(), sources, exports=Exports(csv=str(tmp_path / 'pipe')))
    for _ in range(2):  # its own table is replaced
        detect_sources(make_detector(), sources, exports=Exports(csv=str(tmp_path / 'new.csv')))


def test_a_stride_skips_frames(make_detector, videos, tmp_path):
    lines = run(make_detector(), videos[:1], tmp_path / 'l.jsonl', stride=4, out=str(tmp_path / 'o.mp4'))
    assert [line['frame_id'] for line in lines] == [0, 4, 8]
    with av.open(str(tmp_path / 'o.mp4')) as container:
        assert container.streams.video[0].average_rate == 2.5


@pytest.mark.parametrize(('key', 'number'), [
    ('stride', 0), ('max_frames', 0), ('save_every', 0), ('score_thr', np.nan), ('score_thr', 7), ('score_thr', -1)])
def test_a_number_out_of_range_is_refused_with_its_flag(make_detector, videos, key, number):
    with pytest.raises(InputError, match=f'--{key.replace("_", "-")} is {number}'):
        detect_sources(make_detector(), open_sources(videos), **{key: number})


@pytest.mark.parametrize('stride', [1, 2])
def test_a_resumed_run_equals_an_uninterrupted_one(make_detector, videos, tmp_path, stride):
    whole = run(make_detector(), videos, tmp_path / 'whole.jsonl', stride=stride)
    path, state = tmp_path / 'lines.jsonl', str(tmp_path / 'state.pt')
    run(make_detector(), videos, path, stride=stride, max_frames=2, save_state=state)
    assert len(read(path)) == 4
    assert run(make_detector(), videos, path, stride=stride, resume_state=state) == whole


def interrupt_after(monkeypatch, lines):
    """Raise Ctrl-C after this number of lines."""
    written = []

    def write(self, *arguments):
        if len(written) == lines:
            raise KeyboardInterrupt
        written.append(0)
        original(self, *arguments)
    original = Outputs.write
    monkeypatch.setattr(Outputs, 'write', write)


def test_ctrl_c_leaves_whole_files_and_a_state_to_resume_from(make_detector, videos, tmp_path, monkeypatch):
    whole = run(make_detector(), videos, tmp_path / 'whole.jsonl')
    path, state, out = tmp_path / 'lines.jsonl', str(tmp_path / 'state.pt'), tmp_path / 'drawn'
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        interrupt_after(patched, lines=5)
        run(make_detector(), videos, path, save_state=state, out=str(out))
    assert len(read(path)) == 5
    assert sorted(num_frames(file) for file in out.iterdir()) == [2, 3]
    assert run(make_detector(), videos, path, resume_state=state, out=str(out)) == whole
    # The interrupted batch, of which one line was written, runs again; earlier videos are kept.
    assert {file.name: num_frames(file) for file in out.iterdir()} == {
        'video.1.mp4': 3, 'video-1.1.mp4': 2, 'video.mp4': 7, 'video-1.mp4': 3}


def test_resuming_a_run_that_has_ended_leaves_its_video(make_detector, videos, tmp_path):
    state, out = str(tmp_path / 'state.pt'), tmp_path / 'drawn.mp4'
    for keys in ({'save_state': state}, {'resume_state': state}):
        detect_sources(make_detector(), open_sources(videos[1:]), out=str(out), **keys)
    assert num_frames(out) == 5
    assert [path.name for path in tmp_path.glob('*.mp4')] == ['drawn.mp4']


@pytest.mark.parametrize('rest', ['', '{"frame_id": 5, "str', '\n\n', 'null\n'])
def test_lines_after_the_saved_frame_are_removed_complete_or_not(make_detector, videos, tmp_path, rest):
    whole = run(make_detector(), videos[:1], tmp_path / 'whole.jsonl')
    path, state = tmp_path / 'lines.jsonl', str(tmp_path / 'state.pt')
    run(make_detector(), videos[:1], path, max_frames=3, save_state=state)
    shutil.copyfile(state, tmp_path / 'kept.pt')
    run(make_detector(), videos[:1], path, max_frames=5)
    with path.open('a') as file:
        file.write(rest)
    assert run(make_detector(), videos[:1], path, resume_state=str(tmp_path / 'kept.pt')) == whole


def test_the_state_is_written_every_few_batches(make_detector, videos, tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(module, 'write_state', lambda path, signature, streams, positions: saved.append(
        ([stream.frame_id for stream in streams], [position.frame_id for position in positions.values()])))
    run(make_detector(), videos[:1], tmp_path / 'l.jsonl', save_state=str(tmp_path / 'state.pt'), save_every=4)
    assert saved == [([3], [3]), ([7], [7]), ([8], [8])]


def test_detections_before_a_broken_frame_are_on_disk(make_detector, tmp_path):
    (tmp_path / 'frames').mkdir()
    for k in range(4):
        cv2.imwrite(str(tmp_path / 'frames' / f'{k}.png'), np.full((128, 128, 3), 60 * k, np.uint8))
    (tmp_path / 'frames' / '2.png').write_bytes(b'no image')
    path = tmp_path / 'lines.jsonl'
    with pytest.raises(InputError, match=r'2\.png cannot be read'):
        run(make_detector(), [str(tmp_path / 'frames')], path, out=str(tmp_path / 'o.mp4'))
    assert [line['frame_id'] for line in read(path)] == [0, 1]
    assert num_frames(tmp_path / 'o.mp4') == 2


@pytest.mark.parametrize('display', ['', ':0'])
def test_a_window_without_a_screen_is_refused(make_detector, videos, monkeypatch, display):
    """Without a display OpenCV would abort the process."""
    monkeypatch.setattr('sys.platform', 'linux')
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.setenv(name, display) if display else monkeypatch.delenv(name, raising=False)

    def no_window(*_):
        raise cv2.error('The function is not implemented')
    monkeypatch.setattr(cv2, 'imshow', no_window)
    monkeypatch.setattr(cv2, 'destroyAllWindows', no_window)
    with pytest.raises(InputError, match='--show needs an OpenCV with windows and a screen'):
        detect_sources(make_detector(), open_sources(videos), show=True)


def test_q_in_a_window_ends_the_run_like_ctrl_c(make_detector, videos, tmp_path, monkeypatch):
    monkeypatch.setenv('DISPLAY', ':0')
    keys = iter([255, 255, ord('q')])
    monkeypatch.setattr(cv2, 'imshow', lambda *_: None)
    monkeypatch.setattr(cv2, 'waitKey', lambda _: next(keys))
    monkeypatch.setattr(cv2, 'destroyAllWindows', lambda: None)
    with pytest.raises(KeyboardInterrupt):
        run(make_detector(), videos[:1], tmp_path / 'l.jsonl', show=True)
    assert len(read(tmp_path / 'l.jsonl')) == 3
    assert os.listdir(tmp_path / 'east') == ['video.mp4']


def test_16_bit_images_reach_the_detector_as_in_training(tmp_path, monkeypatch):
    (tmp_path / 'counts').mkdir()
    counts = np.random.default_rng(0).integers(27_000, 29_000, (3, 96, 96)).astype(np.uint16)
    for k, image in enumerate(counts):
        cv2.imwrite(str(tmp_path / 'counts' / f'{k}.png'), image)
    config = load_config(config_path('tsm_faster_rcnn_r18_synthvid'))
    loader = config.test_dataloader.dataset.pipeline[0].transforms[0]
    loader.value_range = (27_000, 29_000)
    detector, seen = OnlineDetector.from_config(config), []
    detect = detector.detect_batch
    monkeypatch.setattr(detector, 'detect_batch', lambda images, *rest: seen.extend(images) or detect(images, *rest))
    assert detect_sources(detector, open_sources([str(tmp_path / 'counts')])) == 3
    load = LoadFrame(value_range=loader.value_range)
    for k in range(3):
        expected = load.transform({'img_path': str(tmp_path / 'counts' / f'{k}.png')})['img']
        np.testing.assert_array_equal(seen[k], expected)
    assert seen[0].max() > 250
    del loader.value_range
    assert OnlineDetector.from_config(config).model.dataset_meta['value_range'] is None
    assert OnlineDetector.from_config(config).signature() != detector.signature()
