"""Track ids, exports and scores of tracks, as a user types them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import TINY
from tsm_det import OnlineDetector, config_path
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.export.exported_detector import open_detector

CONFIG = config_path('tsm_faster_rcnn_r18_synthvid')
CHECKPOINT = next((Path(__file__).parents[1] / 'data/checkpoints').glob('tsm_faster_rcnn_r18_synthvid-*.pth'))


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'synthvid'
    make_synthetic_vid(root, train_videos=1, val_videos=2, frames_per_video=8)
    return root


def test_a_run_writes_tracks_in_every_format_and_they_are_scored(run, data_root, tmp_path):
    status, out, err = run(
        f'detect_video {CONFIG} {CHECKPOINT} {data_root}/val/000.mp4 {data_root}/val/001.mp4 --track bytetrack '
        f'--stride 2,1 --fill --classes disc,square,star --class-thr disc=0.4,star=0.6 --min-size 4 --agnostic-nms '
        f'--json {tmp_path}/o.jsonl --mot {tmp_path}/mot --coco {tmp_path}/c.json --csv {tmp_path}/t.csv '
        f'--cvat {tmp_path}/cvat/')
    assert status == 0, out + err
    assert out.splitlines()[-1].startswith('16 frames: ')
    lines = [json.loads(line) for line in (tmp_path / 'o.jsonl').read_text().splitlines()]
    boxes = [(line, box) for line in lines for box in line['detections']]
    assert {(line['stream'], line['frame_id'] % 2) for line, box in boxes if 'predicted' in box} == {('000.mp4', 1)}
    assert any('track_id' in box for _, box in boxes)
    assert {box['class'] for _, box in boxes} <= {'disc', 'square', 'star'}
    assert all(box['score'] >= {'disc': 0.4, 'star': 0.6}.get(box['class'], 0.3) for _, box in boxes)
    with open(tmp_path / 't.csv', newline='') as file:
        assert len(list(csv.DictReader(file))) == len(boxes)
    assert len(json.loads((tmp_path / 'c.json').read_text())['annotations']) == len(boxes)
    rows = [np.loadtxt(tmp_path / 'mot' / f'00{k}.txt', delimiter=',', ndmin=2) for k in range(2)]
    assert sum(map(len, rows)) == len(boxes)
    assert {path.name for path in (tmp_path / 'cvat').iterdir()} == {'000.xml', '001.xml'}
    assert not list(tmp_path.rglob('*.part*'))
    pytest.importorskip('trackeval', reason='needs trackeval: pip install --no-deps trackeval tabulate')
    status, out, err = run(f'score_tracks {data_root}/val.json {tmp_path}/o.jsonl --metrics {tmp_path}/m.json')
    assert status == 0, out + err
    scores = json.loads((tmp_path / 'm.json').read_text())
    assert 0 < scores['HOTA'] <= 1 and 'disc/IDF1' in scores


@pytest.mark.parametrize(('options', 'fact'), [
    ('--fill', '--track'), ('--stride 2,3', '2 numbers for 1 sources'), ('--classes cat', "'cat'"),
    ("--class-thr 'class 0=2'", '2.0 for class 0'), ('--class-thr disc', 'NAME=SCORE'), ('--stride a', 'it is a'),
    ('--track deepsort', 'bytetrack'), ('--mot {data}/val', '--mot is'), ('--csv {data}/val/000.mp4', 'is an input')])
def test_options_that_do_not_fit_get_one_sentence(run, data_root, options, fact):
    status, out, err = run(f'detect_video {CONFIG} none {data_root}/val/000.mp4 {options.format(data=data_root)} '
                           f'--cfg-options {TINY}')
    assert status == 2, out + err
    assert fact in err.strip().splitlines()[-1]
    assert 'Traceback' not in out + err


@pytest.mark.parametrize(('tracker', 'options', 'expected'), [
    (None, {}, None), (None, {'tracker': 'sort'}, 'SORTTracker'), ('bytetrack', {'tracker': 'sort'}, 'ByteTracker'),
    (None, {'tracker': dict(type='SORTTracker', motion=dict(type='KalmanFilter'), reid=None)}, 'SORTTracker')])
def test_the_tracker_is_the_arguments_or_the_configs(tracker, options, expected):
    for detector in (OnlineDetector.from_config(CONFIG, cfg_options=options, tracker=tracker),
                     open_detector(CONFIG, cfg_options=options, tracker=tracker)):
        assert detector.tracker is None if expected is None else f"'{expected}'" in repr(detector.tracker)
