"""A model exported for any frame size, against eager mode."""

import json
from types import SimpleNamespace

import pytest
import torch

from tests.export.conftest import frames, make_detector
from tests.export.test_dense_graph import DENSE
from tests.export.test_memory_graph import MEMORY
from tests.models.test_detectors import build
from tests.tiny import TINY
from tsm_det import OnlineDetector, config_path
from tsm_det.errors import InputError
from tsm_det.export import state_layout
from tsm_det.export.parity import compare_with_eager
from tsm_det.graphs.program import build_graph
from tsm_det.shift import ShiftState, tensors_of

# (H, W) of frames, whose longer side becomes 128 px. The coarsest maps of the last two have a side of 1.
SIZES = (64, 60), (96, 300), (31, 128), (128, 17)


def detector_of(name):
    if name not in DENSE:
        return make_detector(**({'roi_head': MEMORY} if name == 'memory' else {}))
    model = build(name)
    if name == 'RTMDet':  # as initialised, its scores differ by less than rounding, and NMS by chance
        torch.manual_seed(0)
        for classifier in model.bbox_head.rtm_cls:
            torch.nn.init.normal_(classifier.weight, std=0.3)
    model.dataset_meta = {'classes': tuple(f'class {label}' for label in range(model.bbox_head.num_classes))}
    return OnlineDetector(model, make_detector().pipeline)


# The others have the memory's anchors or RTMDet's points; an export takes half a minute.
@pytest.fixture(scope='module', params=['memory', 'RTMDet'])
def any_size(request, tmp_path_factory):
    """A detector and the path of its export."""
    for package in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(package)
    from tsm_det.export.onnx import write_onnx

    detector, path = detector_of(request.param), tmp_path_factory.mktemp('any_size') / 'model.onnx'
    write_onnx(detector, None, path)
    return detector, path


@pytest.mark.slow
def test_it_equals_eager_over_a_stream_of_each_size_and_a_change_of_size(any_size):
    detector, path = any_size
    images = [image for seed, size in enumerate(SIZES) for image in frames(3, seed, size)]
    parity = compare_with_eager(detector, path, images)
    assert parity.agrees, str(parity)
    assert parity.frames == 3 * len(SIZES) and parity.detections > parity.frames


@pytest.mark.slow
def test_streams_of_several_sizes_run_in_one_batch(any_size):
    from tsm_det.export.exported_detector import open_detector

    eager, exported = any_size[0], open_detector(str(any_size[1]))
    eager.reset()
    for images in zip(*(frames(3, seed, size) for seed, size in enumerate(SIZES)), strict=True):
        found, expected = ([
            [sample.pred_instances[key] for key in ('bboxes', 'scores', 'labels')]
            for sample in detector.detect_batch(images, range(len(SIZES)))] for detector in (exported, eager))
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
    for held, other in zip(exported.bank.held(), eager.bank.held(), strict=True):
        assert [past.shape for past in tensors_of(held.state)] == [past.shape for past in tensors_of(other.state)]


@pytest.mark.slow
def test_the_tool_exports_it_and_videos_of_two_sizes_run_with_it(run, video_file, tmp_path):
    pytest.importorskip('onnxscript')
    status, out, err = run(f'export_onnx {config_path("tsm_faster_rcnn_r18_synthvid")} none --out {tmp_path}/m.onnx '
                           f'--verify 3 --cfg-options {TINY}')
    assert (status, '6 frames, ' in out, ' 0 detections are unmatched' in out) == (0, True, True), out + err
    videos = video_file('a.mp4', n=3, height=48, width=64), video_file('b.mp4', n=3, height=96, width=64)
    status, out, err = run(f'detect_video {tmp_path}/m.onnx {videos[0]} {videos[1]} --json {tmp_path}/o.jsonl '
                           '--score-thr 0')
    assert status == 0, out + err
    lines = [json.loads(line) for line in (tmp_path / 'o.jsonl').read_text().splitlines()]
    assert sorted((line['frame_id'], line['reset']) for line in lines if line['detections']) == [
        (0, 'new'), (0, 'new'), (1, None), (1, None), (2, None), (2, None)]


@pytest.mark.parametrize('name', ['FasterRCNN', 'memory', *DENSE])
def test_a_layout_says_how_the_state_follows_the_frame(name):
    pytest.importorskip('onnxruntime')
    from tsm_det.export.runtime import state_shapes

    model = detector_of(name).model
    layout = state_layout.open_layout(model)
    assert layout['backbone'][0][2:] == ['h/4', 'w/4'] or name == 'RTMDet'
    for size in [*SIZES, (720, 1281)]:
        graph = build_graph(model, size)
        assert [*state_shapes(layout, graph.padded).values()] == [list(past.shape) for past in tensors_of(graph.fresh)]


def test_a_state_that_does_not_follow_the_frame_is_refused(monkeypatch):
    def build_graph(_, size):
        past = torch.zeros(1, 2, size[0] // 4 + 1, size[1] // 4)
        return SimpleNamespace(fresh=ShiftState((past,), ()), padded=size)
    monkeypatch.setattr(state_layout, 'build_graph', build_graph)
    with pytest.raises(InputError, match='Identity .*--size'):
        state_layout.open_layout(torch.nn.Identity())
