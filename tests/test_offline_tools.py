"""Training, testing and detecting with the bi-directional shift, as a user types it."""

import json
import pickle

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch.testing import assert_close

from tests.tiny import STEPS, TINY
from tsm_det import OfflineDetector, config_path
from tsm_det.config import parse_options
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.streams.detections import detections_of
from tsm_det.streams.frame_preparation import prepare_image
from tsm_det.video.video_file import VideoFile

CONFIG = config_path('tsm_faster_rcnn_r18_synthvid_offline')
# Windows of 4 + 2 * 9 of the 24 frames of a video: the first ends before the video, the last begins in it.
OPTIONS = f'model.window=4 model.test_cfg.rcnn.score_thr=0 model.test_cfg.rpn.max_per_img=20 {TINY}'
REFUSED = [
    'detect_video {config} none {video} --save-state {tmp}/s.pt', 'detect_video {config} none {video} --max-gap 0',
    'detect_video {config} none {video} --resume-state {tmp}/s.pt',
    'detect_video {config} none {video} --track sort --fill',
    'detect_video {config} none {video} --engine compiled',
    'export_onnx {config} none --size 128 128 --out {tmp}/m.onnx', 'serve {config} none --port 0',
    'benchmark {config} --baseline {config} --size 64 64 --frames 1 --warmup 1',
    'side_by_side {video} --detector a {config} none --detector b {config} none --out {tmp}/a.gif',
    'test {config} none --engine compiled --work-dir {tmp}', 'test {config} none --work-dir {tmp} --cfg-options '
    'model.streams.max_gap=0 model.streams.capacity=1']


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'synthvid'
    make_synthetic_vid(root, train_videos=2, val_videos=2, frames_per_video=24)
    return root


@pytest.mark.slow
def test_a_trained_detector_is_tested_and_detects_as_in_one_pass(run, data_root, tmp_path):
    status, out, err = run(f'train {CONFIG} --work-dir {tmp_path}/work --cfg-options data_root={data_root} '
                           + OPTIONS + ' ' + STEPS)
    assert status == 0, out + err
    checkpoint = str(tmp_path / 'work' / 'iter_3.pth')
    status, out, err = run(f'test {CONFIG} {checkpoint} --work-dir {tmp_path}/test --metrics {tmp_path}/m.json --out '
                           f'{tmp_path}/found.pkl --show-dir {tmp_path}/shown --cfg-options data_root={data_root} '
                           f'test_dataloader.num_workers=1 test_dataloader.batch_size=5 {OPTIONS}')
    assert status == 0, out + err
    metrics = json.loads((tmp_path / 'm.json').read_text())
    assert metrics['frames_scored'] == metrics['frames_total'] == 48
    assert len(list((tmp_path / 'shown').rglob('*.jpg'))) == 48
    found = {(frame['video_id'], frame['frame_id']): frame['pred_instances']
             for frame in pickle.loads((tmp_path / 'found.pkl').read_bytes())}
    status, out, err = run(f'detect_video {CONFIG} {checkpoint} {data_root}/val/000.mp4 {data_root}/val/001.mp4 '
                           f'--json {tmp_path}/o.jsonl --score-thr 0 --cfg-options {OPTIONS}')
    assert status == 0, out + err
    lines = [json.loads(line) for line in (tmp_path / 'o.jsonl').read_text().splitlines()]
    assert len(found) == len(lines) == 48

    detector = OfflineDetector.from_config(CONFIG, checkpoint, cfg_options=parse_options(OPTIONS.split()))
    for place, video in enumerate(json.loads((data_root / 'val.json').read_text())['videos']):
        data = detector.model.data_preprocessor(pseudo_collate([
            prepare_image(detector.pipeline, image) for image in VideoFile(data_root / 'val' / f'{place:03d}.mp4')]))
        with torch.no_grad():
            whole, _ = detector.model.detect(data['inputs'].transpose(0, 1), data['data_samples'])
        for frame_id, sample in enumerate(whole):
            tested, line = found[video['id'], frame_id], lines[24 * place + frame_id]
            assert_close(tested['bboxes'], sample.pred_instances.bboxes, rtol=0, atol=1e-3)
            assert_close(tested['scores'], sample.pred_instances.scores, rtol=0, atol=1e-4)
            assert (line['stream'], line['frame_id']) == (f'{place:03d}.mp4', frame_id)
            expected = [box['bbox'] for box in detections_of(sample, detector.classes)]
            np.testing.assert_allclose([box['bbox'] for box in line['detections']], expected, atol=0.011)


@pytest.mark.parametrize('line', REFUSED)
def test_what_needs_a_stream_gets_one_sentence_and_status_2(run, data_root, tmp_path, line):
    options = '' if '--cfg-options' in line else '--cfg-options'
    data = f' data_root={data_root}' if line.startswith('test') else ''
    if line.startswith(('serve', 'side_by_side')):
        options, data = '', ''
    line = line.format(config=CONFIG, video=data_root / 'val' / '000.mp4', tmp=tmp_path)
    status, out, err = run(f'{line} {options}{data} {OPTIONS if options or data else ""}')
    last = err.strip().splitlines()[-1]
    assert status == 2, out + err
    assert last.startswith('error: ') and "direction='both'" in last
    assert 'Traceback' not in out + err


def test_the_configs_of_both_directions_differ_in_it_alone():
    online, offline = (Config.fromfile(path) for path in (config_path('tsm_faster_rcnn_r18_synthvid'), CONFIG))
    assert (offline.model.backbone.pop('direction'), offline.model.neck.pop('direction')) == ('both', 'both')
    assert online.to_dict() == offline.to_dict()
