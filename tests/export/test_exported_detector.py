"""An exported model behind OnlineDetector, and both tools."""

import json

import numpy as np
import pytest
import torch

from tests.export.conftest import SIZE, frames
from tests.tiny import TINY
from tsm_det import config_path
from tsm_det.errors import InputError
from tsm_det.export import compare
from tsm_det.export.exported_detector import open_detector

pytestmark = pytest.mark.slow


def found(samples):
    return [(sample.metainfo['reset'], *(sample.pred_instances[key] for key in ('bboxes', 'scores', 'labels')))
            for sample in samples]


def two_streams(detector, ids=(0, 1, 2, 7)):
    """Two streams, the second of another size, in one batch; a step of more than two frame ids at the end."""
    rounds = zip(ids, frames(4), frames(4, 1, (128, 120)), strict=True)
    return [found(detector.detect_batch([a, b], ['a', 7], [k, k])) for k, a, b in rounds]


@pytest.fixture
def opened(exported):
    return open_detector(str(exported.path), max_gap=2)


def test_streams_in_a_batch_are_what_eager_makes_of_them(detector, opened):
    detector.bank.max_gap = 2
    for got, expected in zip(two_streams(opened), two_streams(detector), strict=True):
        assert [reset for reset, *_ in got] == [reset for reset, *_ in expected]
        torch.testing.assert_close([part for _, *part in got], [part for _, *part in expected], atol=1e-3, rtol=0)
    assert [first[0] for first, _ in two_streams(opened, (8, 9, 10, 13))] == [None, None, None, 'gap']


def test_reasons_to_start_afresh_are_said(opened):
    assert [first[0] for first, _ in two_streams(opened)] == ['new', None, None, 'gap']
    opened.reset('a')
    assert found(opened.detect_batch(frames(1), ['a']))[0][0] == 'manual'


def test_a_saved_stream_goes_on_bit_for_bit(exported, opened, tmp_path):
    images = frames(4)
    for image in images[:2]:
        opened(image)
    opened.save_state(tmp_path / 'state.pt')
    expected = [found([opened(image)]) for image in images[2:]]
    other = open_detector(str(exported.path))
    other.load_state(tmp_path / 'state.pt')
    assert str([found([other(image)]) for image in images[2:]]) == str(expected)


def test_a_state_of_another_model_is_refused(detector, opened, tmp_path):
    detector(frames(1)[0])
    detector.save_state(tmp_path / 'state.pt')
    with pytest.raises(InputError, match='was saved by a model with other weights'):
        opened.load_state(tmp_path / 'state.pt')


def test_the_states_of_a_batch_own_their_memory_only(opened):
    two_streams(opened)
    for held in opened.bank.held():
        for past in (*held.state.backbone, *held.state.neck):
            assert past.untyped_storage().nbytes() == past.numel() * past.element_size()


def test_a_frame_of_another_shape_is_refused_in_one_sentence(opened):
    with pytest.raises(InputError, match='the frame is 50x80 px but the model is for 64x60'):
        opened(np.zeros((50, 80, 3), np.uint8))


@pytest.mark.parametrize(('keys', 'message'), [
    (dict(cfg_options={'a': 1}), 'has no keys to override: give --cfg-options to tools/export_onnx.py'),
    (dict(device='cuda:0'), '--device is cuda:0 but this onnxruntime has no CUDA')])
def test_what_a_file_cannot_do_is_said(exported, keys, message):
    if 'device' in keys and 'CUDAExecutionProvider' in pytest.importorskip('onnxruntime').get_available_providers():
        pytest.skip('this onnxruntime has CUDA')
    with pytest.raises(InputError, match=message):
        open_detector(str(exported.path), **keys)


@pytest.mark.parametrize('device', ['foo', '', 'meta', 'cuda:x', 'cuda:-1'])
def test_a_device_of_no_kind_that_runs_a_file_is_said(exported, monkeypatch, device):
    monkeypatch.setattr('onnxruntime.get_available_providers', lambda: ['CUDAExecutionProvider'])
    with pytest.raises(InputError, match=f'--device is {device!r} but cpu, cuda or one such as cuda:0 is needed'):
        open_detector(str(exported.path), device=device)


def test_a_file_that_is_no_model_of_ours_is_refused(exported, tmp_path):
    onnx = pytest.importorskip('onnx')
    with pytest.raises(InputError, match='none.onnx is missing: have tools/export_onnx.py write it'):
        open_detector(str(tmp_path / 'none.onnx'))
    (tmp_path / 'broken.onnx').write_bytes(b'no model')
    with pytest.raises(InputError, match='broken.onnx cannot be loaded'):
        open_detector(str(tmp_path / 'broken.onnx'))
    foreign = onnx.load(exported.path)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / 'foreign.onnx')
    with pytest.raises(InputError, match='foreign.onnx is not a model of tsm_det: give one that'):
        open_detector(str(tmp_path / 'foreign.onnx'))


def test_the_tools_export_and_detect(run, video_file, tmp_path, monkeypatch):
    of_tools = tmp_path / 'new' / 'model.onnx'
    pytest.importorskip('onnxscript')
    line = (f'export_onnx {config_path("tsm_faster_rcnn_r18_synthvid")} none --size {SIZE[0]} {SIZE[1]} '
            f'--out {of_tools} --verify 3 --cfg-options {TINY}')
    status, out, err = run(line)
    assert (status, '3 frames, ' in out, ' 0 detections have no counterpart' in out) == (0, True, True), out + err
    video = video_file(n=4, height=SIZE[0], width=SIZE[1])
    status, out, err = run(f'detect_video {of_tools} {video} --json {tmp_path}/o.jsonl --out {tmp_path}/o.mp4 '
                           f'--score-thr 0 --save-state {tmp_path}/s.pt --max-frames 3')
    assert status == 0, out + err
    status, out, err = run(f'detect_video {of_tools} {video} --json {tmp_path}/o.jsonl --resume-state {tmp_path}/s.pt')
    assert status == 0, out + err
    lines = [json.loads(line) for line in (tmp_path / 'o.jsonl').read_text().splitlines()]
    assert [(line['frame_id'], line['reset']) for line in lines] == [(0, 'new'), (1, None), (2, None), (3, None)]
    assert len(lines[0]['detections']) > 0
    monkeypatch.setattr(compare, 'SCORE', -1.0)
    assert run(line)[0] == 1
