"""An exported model behind OnlineDetector, and in both tools."""

import json
import random

import numpy as np
import pytest
import torch

from tests.export.conftest import SIZE, frames
from tests.tiny import TINY
from tsm_det import config_path
from tsm_det.errors import InputError
from tsm_det.export import parity
from tsm_det.export.exported_detector import open_detector

pytestmark = pytest.mark.slow


def parts(samples):
    return [(sample.metainfo['reset'], *(sample.pred_instances[key] for key in ('bboxes', 'scores', 'labels')))
            for sample in samples]


def two_streams(detector, ids=(0, 1, 2, 7)):
    """Two streams of different sizes in one batch, with a gap of frame ids at the end."""
    batches = zip(ids, frames(4), frames(4, 1, (128, 120)), strict=True)
    return [parts(detector.detect_batch([a, b], ['a', 7], [k, k])) for k, a, b in batches]


@pytest.fixture
def opened(exported):
    return open_detector(str(exported.path), max_gap=2)


def test_streams_in_a_batch_equal_eager_and_reset_for_the_same_reasons(detector, opened):
    detector.bank.max_gap = 2
    detections, expected = two_streams(opened), two_streams(detector)
    torch.testing.assert_close([part for batch in detections for _, *part in batch],
                               [part for batch in expected for _, *part in batch], atol=1e-3, rtol=0)
    resets, eager_resets = ([[reset for reset, *_ in batch] for batch in run] for run in (detections, expected))
    assert resets == eager_resets == [['new'] * 2, [None] * 2, [None] * 2, ['gap'] * 2]
    assert [first[0] for first, _ in two_streams(opened, (8, 9, 10, 13))] == [None, None, None, 'gap']
    opened.reset('a')
    assert parts(opened.detect_batch(frames(1), ['a']))[0][0] == 'manual'


def test_a_saved_stream_continues_bit_for_bit(exported, opened, tmp_path):
    images = frames(4)
    for image in images[:2]:
        opened(image)
    opened.save_state(tmp_path / 'state.pt')
    expected = [parts([opened(image)]) for image in images[2:]]
    other = open_detector(str(exported.path))
    other.load_state(tmp_path / 'state.pt')
    torch.testing.assert_close([parts([other(image)]) for image in images[2:]], expected, rtol=0, atol=0)


def test_a_state_of_another_model_is_refused(detector, opened, tmp_path):
    detector(frames(1)[0])
    detector.save_state(tmp_path / 'state.pt')
    with pytest.raises(InputError, match='state.pt'):
        opened.load_state(tmp_path / 'state.pt')


def test_the_states_of_a_batch_own_only_their_memory(opened):
    two_streams(opened)
    for held in opened.bank.held():
        for past in (*held.state.backbone, *held.state.neck):
            assert past.untyped_storage().nbytes() == past.numel() * past.element_size()


def test_a_frame_of_another_shape_is_refused(opened):
    with pytest.raises(InputError, match='50x80 px .* 64x60'):
        opened(np.zeros((50, 80, 3), np.uint8))


@pytest.mark.parametrize(('keys', 'providers', 'facts'), [
    (dict(cfg_options={'a': 1}), [], r'--cfg-options .*model\.onnx'),
    (dict(engine='fast'), [], r'--engine is fast .*model\.onnx'),
    (dict(max_gap=-1), [], 'max_gap is -1'),
    (dict(device='cuda:0'), [], '--device is cuda:0 .*onnxruntime-gpu'),
    *((dict(device=device), ['CUDAExecutionProvider'], f'--device is {device!r} ')
      for device in ('foo', '', 'meta', 'cuda:x', 'cuda:-1'))])
def test_arguments_that_do_not_fit_a_file_are_refused(exported, monkeypatch, keys, providers, facts):
    monkeypatch.setattr('onnxruntime.get_available_providers', lambda: providers)
    with pytest.raises(InputError, match=facts):
        open_detector(str(exported.path), **keys)


def test_a_missing_broken_or_foreign_file_is_refused(exported, tmp_path):
    onnx = pytest.importorskip('onnx')
    (tmp_path / 'broken.onnx').write_bytes(b'no model')
    foreign = onnx.load(exported.path)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / 'foreign.onnx')
    for name, facts in (('none', 'none.onnx is missing'), ('broken', 'broken.onnx cannot be loaded'),
                        ('foreign', 'foreign.onnx is not a model of tsm_det')):
        with pytest.raises(InputError, match=facts):
            open_detector(str(tmp_path / f'{name}.onnx'))


def rename(onnx, model, old, new):
    """Give an input or output of a graph another name, everywhere."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.name = new if tensor.name == old else tensor.name


def drop_output(onnx, model, name):
    del model.graph.output[[output.name for output in model.graph.output].index(name)]


def add_output(onnx, model, name):
    model.graph.node.append(onnx.helper.make_node('Identity', ['image'], [name]))
    model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, None))


@pytest.mark.parametrize(('change', 'names', 'fact'), [
    (rename, ('past.neck.0', 'past.neck.9'), 'past.neck.0'), (rename, ('image', 'picture'), 'image'),
    (rename, ('present.backbone.1', 'present'), 'present.backbone.1'), (rename, ('labels', 'classes'), 'labels'),
    (drop_output, ('scores',), 'scores'), (drop_output, ('present.neck.0',), 'present.neck.0'),
    (add_output, ('masks',), 'masks')])
def test_a_graph_of_other_inputs_or_outputs_than_its_metadata_state_is_refused(
        exported, tmp_path, change, names, fact):
    onnx = pytest.importorskip('onnx')
    model = onnx.load(exported.path)
    del model.metadata_props[-1]  # the checksum
    change(onnx, model, *names)
    onnx.save(model, tmp_path / 'm.onnx')
    with pytest.raises(InputError, match=rf'm\.onnx .*{fact}'):
        open_detector(str(tmp_path / 'm.onnx'))


@pytest.mark.parametrize(('change', 'fact'), [
    (lambda meta: meta.update(image=[64, 60]), r'image .*\[1, 128, 120, 3\].*\[1, 64, 60, 3\]'),
    (lambda meta: meta['state']['neck'].pop(), 'past.neck.0'), (lambda meta: meta['state'].pop('neck'), 'past.neck.0'),
    (lambda meta: meta['state']['backbone'][0].pop(), 'past.backbone.0'),
    (lambda meta: meta['state']['backbone'][1].__setitem__(1, 7), 'past.backbone.1'),
    (lambda meta: meta.update(state=3), 'metadata'), (lambda meta: meta.update(classes=[]), 'classes'),
    (lambda meta: meta.update(classes='bird'), 'classes'), (lambda meta: meta.pop('classes'), 'classes'),
    (lambda meta: meta.update(frame=[64, -1]), 'frame'), (lambda meta: meta.pop('resize'), 'resize'),
    (lambda meta: meta.update(resize={'scale': [128, 128]}), 'keep_ratio')])
def test_metadata_that_do_not_fit_the_graph_are_refused(exported, tmp_path, change, fact):
    meta = metadata_of(exported.path)
    change(meta)
    with pytest.raises(InputError, match=rf'm\.onnx .*{fact}'):
        open_detector(with_metadata(exported.path, json.dumps(meta), tmp_path / 'm.onnx'))


@pytest.mark.parametrize('text', ['', '[]', '{"classes"', '7', '[' * 100_000])
def test_damaged_metadata_are_refused(exported, tmp_path, text):
    with pytest.raises(InputError, match=r'm\.onnx .*metadata'):
        open_detector(with_metadata(exported.path, text, tmp_path / 'm.onnx'))


def test_a_label_without_a_class_name_is_refused(exported, tmp_path):
    meta = {**metadata_of(exported.path), 'classes': ['a']}
    detector = open_detector(with_metadata(exported.path, json.dumps(meta), tmp_path / 'm.onnx'))
    with pytest.raises(InputError, match='1 classes'):
        detector(frames(1)[0])


def test_no_flipped_bit_or_cut_file_changes_detections(exported, tmp_path):
    content, choice = exported.path.read_bytes(), random.Random(0)
    expected = open_detector(str(exported.path))(frames(1)[0]).pred_instances.bboxes
    size = 8 * len(content)
    for bit in [*choice.sample(range(size), 150), *choice.sample(range(size - 8 * 84, size), 50)]:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / 'm.onnx').write_bytes(flipped)
        try:
            boxes = open_detector(str(tmp_path / 'm.onnx'))(frames(1)[0]).pred_instances.bboxes
        except InputError:
            continue
        assert bit >= size - 8 * 84, 'only damage to the mark of the checksum goes unnoticed'
        assert torch.equal(boxes, expected)
    for share in (0, 0.3, 0.9, 0.9999):
        (tmp_path / 'm.onnx').write_bytes(content[:int(share * len(content))])
        with pytest.raises(InputError, match='m.onnx'):
            open_detector(str(tmp_path / 'm.onnx'))


def test_a_changed_file_is_refused_until_its_checksum_is_removed(exported, tmp_path):
    onnx = pytest.importorskip('onnx')
    model = onnx.load(exported.path)
    model.doc_string = 'quantized'
    onnx.save(model, tmp_path / 'm.onnx')
    with pytest.raises(InputError, match='m.onnx .*tsm_det_sha256'):
        open_detector(str(tmp_path / 'm.onnx'))
    del model.metadata_props[-1]
    onnx.save(model, tmp_path / 'm.onnx')
    open_detector(str(tmp_path / 'm.onnx'))


def metadata_of(path):
    onnx = pytest.importorskip('onnx')
    return json.loads(next(entry.value for entry in onnx.load(path).metadata_props if entry.key == 'tsm_det'))


def with_metadata(path, text, out):
    onnx = pytest.importorskip('onnx')
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {'tsm_det': text})
    onnx.save(model, out)
    return str(out)


def test_the_tools_export_and_detect(run, video_file, tmp_path, monkeypatch):
    model = tmp_path / 'new' / 'model.onnx'
    pytest.importorskip('onnxscript')
    line = (f'export_onnx {config_path("tsm_faster_rcnn_r18_synthvid")} none --size {SIZE[0]} {SIZE[1]} '
            f'--out {model} --verify 3 --cfg-options {TINY}')
    status, out, err = run(line)
    assert (status, '3 frames, ' in out, ' 0 detections are unmatched' in out) == (0, True, True), out + err
    video = video_file(n=4, height=SIZE[0], width=SIZE[1])
    status, out, err = run(f'detect_video {model} {video} --json {tmp_path}/o.jsonl --out {tmp_path}/o.mp4 '
                           f'--score-thr 0 --save-state {tmp_path}/s.pt --max-frames 3')
    assert status == 0, out + err
    status, out, err = run(f'detect_video {model} {video} --json {tmp_path}/o.jsonl --resume-state {tmp_path}/s.pt')
    assert status == 0, out + err
    lines = [json.loads(line) for line in (tmp_path / 'o.jsonl').read_text().splitlines()]
    assert [(line['frame_id'], line['reset']) for line in lines] == [(0, 'new'), (1, None), (2, None), (3, None)]
    assert len(lines[0]['detections']) > 0
    monkeypatch.setattr(parity, 'SCORE', -1.0)
    assert run(line)[0] == 1
