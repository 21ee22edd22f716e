"""Recordings in windows: the detections of one pass over the whole video, in order."""

import json

import av
import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate

from tests.streams.test_tracking import LOW
from tests.tiny import read_config, tiny_detector
from tsm_det import OfflineDetector, OnlineDetector, config_path
from tsm_det.engines import with_engine
from tsm_det.errors import InputError
from tsm_det.export.exported_detector import open_detector
from tsm_det.streams.detect_sources import detect_sources, open_sources
from tsm_det.streams.detections import detections_of
from tsm_det.streams.frame_preparation import image_pipeline
from tsm_det.streams.tracking import Tracker
from tsm_det.video.video_file import VideoFile

MARGIN = 9  # sites on a path of the small detector


@pytest.fixture
def detector():
    config = read_config('tsm_faster_rcnn_r18_synthvid')
    model = tiny_detector(backbone=dict(direction='both'), neck=dict(direction='both'), window=4)
    model.dataset_meta = {'classes': ('a', 'b', 'c', 'd')}
    return OfflineDetector(model, Compose(image_pipeline(config.test_dataloader.dataset.pipeline)))


@pytest.fixture
def images():
    return list(np.random.default_rng(0).integers(0, 256, (24, 128, 128, 3), dtype=np.uint8))


@pytest.fixture
def videos(tmp_path, images):
    """Two videos of noise, of 20 and of 5 frames."""
    paths = []
    for name, noise in (('long.mp4', images[:20]), ('short.mp4', images[19:])):
        paths.append(str(tmp_path / name))
        with av.open(paths[-1], 'w') as container:
            stream = container.add_stream('libx264', rate=10)
            stream.width = stream.height = 128
            for image in noise:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='bgr24')))
            container.mux(stream.encode())
    return paths


@torch.no_grad()
def in_one_pass(detector, images):
    """The detections of all frames at once, without windows."""
    data = pseudo_collate([detector.pipeline({
        'img': [image], 'img_id': [0], 'frame_id': [0], 'video_id': [0], 'video_length': [1], 'ori_video_length': [1],
    }) for image in images])
    data = detector.model.data_preprocessor(data, training=False)
    return detector.model.detect(data['inputs'].transpose(0, 1), data['data_samples'])[0]


def lines_of(samples, classes):
    return [detections_of(sample, classes) for sample in samples]


def assert_lines(lines, expected):
    """Equal but for the rounding of another batch size."""
    for found, wanted in zip(lines, expected, strict=True):
        for key, tolerance in (('bbox', 0.011), ('score', 0.00011), ('label', 0)):
            np.testing.assert_allclose([box[key] for box in found], [box[key] for box in wanted], atol=tolerance)


def run(detector, names, path, **keys):
    detect_sources(detector, open_sources(names), json_lines=str(path), score_thr=0, **keys)
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize('window', [1, 4, 100])
def test_a_video_in_windows_has_the_detections_of_one_pass(detector, images, window):
    detector.model.window = window
    samples = list(detector(images))
    expected = lines_of(in_one_pass(detector, images), detector.classes)
    assert_lines(lines_of(samples, detector.classes), expected)
    assert [sample.metainfo['reset'] for sample in samples] == ['new', *[None] * 23]
    assert sum(map(len, expected)) > 0


def test_a_video_is_read_only_as_far_ahead_as_a_window_needs(detector, images):
    read = []
    found = detector(read.append(image) or image for image in images)
    next(found)
    assert len(read) == 4 + MARGIN
    assert len(list(found)) == 23


def test_another_frame_size_starts_the_video_over(detector, images):
    samples = list(detector([*images[:3], *(image[:96] for image in images[:2])]))
    assert [sample.metainfo['reset'] for sample in samples] == ['new', None, None, 'size', None]
    assert_lines(lines_of(samples[:3], detector.classes), lines_of(in_one_pass(detector, images[:3]), detector.classes))


def test_an_image_that_is_none_is_refused(detector):
    with pytest.raises(ValueError, match='uint8'):
        list(detector([np.zeros((8, 8, 3))]))


def test_sources_run_one_after_the_other_and_are_written_in_order(detector, videos, tmp_path):
    lines = run(detector, videos, tmp_path / 'o.jsonl', out=str(tmp_path / 'drawn'))
    assert [(line['stream'], line['frame_id']) for line in lines] == [
        *(('long.mp4', k) for k in range(20)), *(('short.mp4', k) for k in range(5))]
    assert [k for k, line in enumerate(lines) if line['reset'] == 'new'] == [0, 20]
    for begin, video in ((0, videos[0]), (20, videos[1])):
        expected = lines_of(in_one_pass(detector, list(VideoFile(video))), detector.classes)
        assert_lines([line['detections'] for line in lines[begin:begin + len(expected)]], expected)
    assert sorted(path.name for path in (tmp_path / 'drawn').iterdir()) == ['long.mp4', 'short.mp4']


def test_a_stride_and_a_largest_number_of_frames_choose_the_frames_of_the_video(detector, videos, tmp_path):
    lines = run(detector, videos[:1], tmp_path / 'o.jsonl', stride=3, max_frames=5)
    assert [line['frame_id'] for line in lines] == [0, 3, 6, 9, 12]
    expected = in_one_pass(detector, list(VideoFile(videos[0]))[0:15:3])
    assert_lines([line['detections'] for line in lines], lines_of(expected, detector.classes))


def test_the_frames_before_a_broken_one_and_the_other_sources_are_on_disk(detector, images, videos, tmp_path):
    (tmp_path / 'frames').mkdir()
    for k in range(4):
        cv2.imwrite(str(tmp_path / 'frames' / f'{k}.png'), images[k])
    (tmp_path / 'frames' / '2.png').write_bytes(b'no image')
    path = tmp_path / 'o.jsonl'
    with pytest.raises(InputError, match=r'2\.png cannot be read'):
        run(detector, [str(tmp_path / 'frames'), videos[1]], path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line['stream'], line['frame_id']) for line in lines] == [
        ('frames', 0), ('frames', 1), *(('short.mp4', k) for k in range(5))]


class Camera:
    name, fps, num_frames, files, is_live, is_recorded = 'rtsp://cam', 25.0, None, (), True, False


@pytest.mark.parametrize('keys', [dict(save_state='state.pt'), dict(resume_state='state.pt')])
def test_live_sources_and_state_files_are_refused(detector, videos, keys):
    with pytest.raises(InputError, match='rtsp://cam is live'):
        detect_sources(detector, [*open_sources(videos[:1]), Camera()])
    with pytest.raises(InputError, match=r'state\.pt'):
        detect_sources(detector, open_sources(videos[:1]), **keys)


def test_it_cannot_stream_or_be_compiled_but_runs_in_the_fast_engine(detector, images):
    with pytest.raises(InputError, match="direction='past'"):
        OnlineDetector(detector.model, detector.pipeline)
    with pytest.raises(InputError, match='compiled'):
        with_engine(detector.model, 'compiled')
    expected = lines_of(detector(images[:12]), detector.classes)
    detector.model = with_engine(detector.model, 'fast')
    assert_lines(lines_of(detector(images[:12]), detector.classes), expected)


def test_tracks_follow_a_recording_and_start_over_with_its_size(detector, images):
    video = [images[0]] * 3 + [image[:96] for image in images[:2]]
    plain = lines_of(detector(video), detector.classes)
    detector.tracker = tracker = Tracker(LOW['bytetrack'])
    samples, tracks = list(detector(video)), None
    for sample, line in zip(samples, plain, strict=True):
        ids = sample.pred_instances.pop('track_ids')
        assert lines_of([sample], detector.classes) == [line]
        tracks = tracker(sample, tracks)
        assert torch.equal(ids, sample.pred_instances.track_ids)
    assert tracks.first_id > 1, 'the size changed'


def test_a_config_opens_as_what_it_is():
    both = {'model.backbone.direction': 'both'}
    assert isinstance(open_detector(config_path('tsm_faster_rcnn_r18_synthvid')), OnlineDetector)
    assert isinstance(open_detector(config_path('tsm_faster_rcnn_r18_synthvid'), cfg_options=both), OfflineDetector)
    with pytest.raises(InputError, match='--max-gap is 5'):
        open_detector(config_path('tsm_faster_rcnn_r18_synthvid'), max_gap=5, cfg_options=both)
