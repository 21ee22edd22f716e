"""The exported model, as a file and in ONNX Runtime."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.export.conftest import SIZE, frames, make_detector
from tsm_det.errors import InputError
from tsm_det.export import onnx as module
from tsm_det.export.onnx import write_onnx
from tsm_det.export.parity import compare_with_eager
from tsm_det.shift import parts_of

pytestmark = pytest.mark.slow


@pytest.fixture
def runtime(exported):
    from tsm_det.export.runtime import Detector

    return Detector(exported.path)


def test_the_exported_graph_equals_eager_over_ten_streamed_frames(detector, exported):
    parity = compare_with_eager(detector, exported.path, frames(10))
    assert parity.agrees, str(parity)
    assert (parity.frames, parity.detections) == (10, 100)


def test_a_graph_that_forgets_does_not_agree(detector, exported, monkeypatch):
    from tsm_det.export.runtime import Detector

    step = Detector.step
    monkeypatch.setattr(Detector, 'step', lambda self, small, past=None: step(self, small))
    assert compare_with_eager(detector, exported.path, frames(1)).agrees
    assert not compare_with_eager(detector, exported.path, frames(2)).agrees


def test_inputs_and_outputs_have_the_names_of_the_sites(runtime):
    sites = [*(f'backbone.{k}' for k in range(8)), 'neck.0']  # the backbone holds the other three of the neck
    inputs, outputs = ([tensor.name for tensor in tensors]
                       for tensors in (runtime.session.get_inputs(), runtime.session.get_outputs()))
    assert inputs == ['image', *(f'past.{site}' for site in sites)]
    assert outputs == ['boxes', 'scores', 'labels', *(f'present.{site}' for site in sites)]
    assert runtime.session.get_inputs()[0].shape == [1, 128, 120, 3]


def test_the_metadata_describe_the_model(runtime, detector):
    detector(frames(1)[0])
    state = detector.bank.held()[0].state
    layout = runtime.meta.pop('state')
    assert {part: [tuple(shape) for shape in shapes] for part, shapes in layout.items()} == {
        part: [tuple(past.shape) for past in pasts] for part, pasts in parts_of(state).items()}
    mean, std = (runtime.meta['in_graph'].pop(key) for key in ('mean', 'std'))
    np.testing.assert_allclose([mean, std], [[123.675, 116.28, 103.53], [58.395, 57.12, 57.375]], rtol=1e-6)
    assert runtime.meta.pop('tsm_det')
    assert runtime.meta == {
        'classes': ['a', 'b', 'c', 'd'], 'frame': list(SIZE), 'resize': {'scale': [128, 128], 'keep_ratio': True},
        'image': [128, 120], 'network': [128, 128], 'in_graph': {'channels': 'RGB', 'pad_value': 0},
        'score_thr': 0.0, 'max_detections': 10, 'value_range': None}


def test_the_file_has_no_paths_of_this_machine(exported):
    content = exported.path.read_bytes()
    assert str(Path(module.__file__).parents[2]).encode() not in content
    assert b'stack_trace' not in content


# Runs the copied runtime as on a machine without torch and mmdet.
WITHOUT_TORCH = '''
import sys
for name in ('torch', 'mmdet', 'mmcv', 'mmengine', 'tsm_det', 'onnx', 'onnxscript'):
    sys.modules[name] = None
import numpy as np
from runtime import Detector
detector = Detector('model.onnx')
np.savez('detections.npz', *(part for image in np.load('frames.npy') for part in detector(image)))
'''


def test_the_copy_beside_the_model_runs_without_torch_and_mmdet(detector, exported):
    folder = exported.path.parent
    assert exported.runtime == folder / 'runtime.py'
    images = frames(4, size=(128, 120))  # boxes are in px of these frames
    np.save(folder / 'frames.npy', images)
    environment = {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}
    subprocess.run([sys.executable, '-c', WITHOUT_TORCH], cwd=folder, env=environment, check=True)
    detections = list(np.load(folder / 'detections.npz').values())
    for k, image in enumerate(images):
        sample = detector(image).pred_instances
        np.testing.assert_allclose(detections[3 * k], sample.bboxes, atol=1e-3)
        np.testing.assert_allclose(detections[3 * k + 1], sample.scores, atol=1e-4)
        np.testing.assert_array_equal(detections[3 * k + 2], sample.labels)


def test_the_copy_beside_the_model_prints_json_lines_of_a_video_or_an_error(exported, video_file, tmp_path):
    video = video_file(n=5, height=SIZE[0], width=SIZE[1])
    ended, failed = (subprocess.run([sys.executable, exported.runtime, exported.path, path], check=False, text=True,
                                    capture_output=True) for path in (video, tmp_path / 'none.mp4'))
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line['frame_id'] for line in lines] == list(range(5))
    assert set(lines[4]['detections'][0]) == {'bbox', 'score', 'label', 'class'}
    assert (failed.returncode, failed.stdout) == (1, '')
    assert f'{tmp_path}/none.mp4' in failed.stderr and 'Traceback' not in failed.stderr


def test_two_streams_do_not_mix(runtime):
    seen = {name: frames(3, seed) for seed, name in enumerate('ab')}
    alone = {}
    for name, images in seen.items():
        runtime.reset()
        alone[name] = [runtime(image) for image in images]
    runtime.reset()
    for k in range(3):
        for name in 'ab':
            np.testing.assert_equal(runtime(seen[name][k], name), alone[name][k])


def test_a_reset_and_another_size_start_a_stream_over(runtime):
    first, second = frames(2)
    fresh = runtime(second, 'fresh')
    for stream in 'abc':
        runtime(first, stream)
    runtime.reset('b')
    assert not np.array_equal(runtime(second, 'a')[1], fresh[1])
    np.testing.assert_equal(runtime(second, 'b'), fresh)
    large = second.repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_equal(runtime(large, 'c'), runtime(large, 'd'))
    runtime.reset()
    np.testing.assert_equal(runtime(second, 'a'), fresh)


def test_no_detection_is_an_empty_result(runtime):
    past = {f'{part}.{site}': np.full(shape, np.nan, np.float32)
            for part, shapes in runtime.meta['state'].items() for site, shape in enumerate(shapes)}
    (boxes, scores, labels), _ = runtime.step(runtime.prepare(frames(1)[0]), past)
    assert (boxes.shape, scores.shape, labels.shape) == ((0, 4), (0,), (0,))


@pytest.mark.parametrize(('image', 'facts'), [
    (np.zeros((64, 64, 3), np.uint8), '64x64 px .* 64x60 .*--size 64 64.* without --size'),
    (np.zeros((2, 2000, 3), np.uint8), '2x2000 px'),
    (np.zeros((64, 60), np.uint8), r'uint8 \(64, 60\)'), (np.zeros((64, 60, 3), np.float32), 'float32 '),
])
def test_a_frame_that_does_not_fit_is_refused(runtime, image, facts):
    with pytest.raises(ValueError, match=facts):
        runtime(image)


def test_a_missing_package_is_named(detector, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(InputError, match=r"onnxscript .* pip install 'tsm_det\[onnx\]'"):
        write_onnx(detector, SIZE, tmp_path / 'model.onnx')


def test_an_exported_model_is_replaced_but_a_runtime_py_of_the_user_is_not(detector, exported, tmp_path):
    module.check_output(exported.path)
    (tmp_path / 'runtime.py').write_text('mine')
    with pytest.raises(InputError, match='runtime.py'):
        write_onnx(detector, SIZE, tmp_path / 'model.onnx')
    assert [path.name for path in tmp_path.iterdir()] == ['runtime.py']


@pytest.mark.parametrize(('path', 'facts'), [
    ('model.pt', r'model\.pt .*\.onnx'), ('file/model.onnx', 'file/model.onnx')])
def test_an_output_that_cannot_be_written_is_refused(detector, tmp_path, path, facts):
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match=facts):
        write_onnx(detector, SIZE, tmp_path / path)


def test_a_detector_without_sites_has_no_past(tmp_path):
    detector = make_detector(backbone=dict(shift_stages=()), neck=dict(shift_levels=()))
    write_onnx(detector, SIZE, tmp_path / 'model.onnx')
    assert compare_with_eager(detector, tmp_path / 'model.onnx', frames(2)).agrees
    assert detector.bank.state_bytes() == 0
