"""The OpenVINO engine: int8 detections near those of eager mode, its streams, its cache, and what it refuses."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.registry import init_default_scope

from tests.models.test_detectors import build
from tsm_det import OnlineDetector, config_path
from tsm_det.config import load_config
from tsm_det.datasets.synthetic_vid import make_synthetic_vid, plan_scene
from tsm_det.engines import with_engine
from tsm_det.errors import InputError
from tsm_det.models.roi_memory import RoIMemory
from tsm_det.shift import tensors_of

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not all(map(find_spec, ('openvino', 'nncf', 'onnxscript'))), reason="needs pip install 'tsm_det[openvino]'")]
[WEIGHTS] = (Path(__file__).parents[2] / 'data' / 'checkpoints').glob('tsm_faster_rcnn_r18_synthvid-*.pth')
SIZE = (256, 240)  # resized to 128x120 and padded


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Training data, and the cache of this module."""
    folder = tmp_path_factory.mktemp('openvino')
    make_synthetic_vid(folder / 'data', train_videos=4, val_videos=1, frames_per_video=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('TSM_DET_CACHE', str(folder / 'cache'))
        yield folder


@pytest.fixture
def make(folder):
    """Make the published detector, calibrated by that data."""
    def make(engine='openvino-int8', config='tsm_faster_rcnn_r18_synthvid', weights=WEIGHTS, **options):
        options = {'train_dataloader.dataset.data_root': f'{folder}/data', **options}
        return OnlineDetector.from_config(config_path(config), str(weights), engine=engine, cfg_options=options)
    return make


def weights_with_memory(path):
    """The published weights, and random ones of a memory that changes what they detect."""
    torch.manual_seed(0)
    memory = RoIMemory(256)
    torch.nn.init.normal_(memory.to_output.weight, std=0.05)
    weights = torch.load(WEIGHTS)['state_dict']
    torch.save({'state_dict': {**weights, **{f'roi_head.memory.{key}': tensor
                                             for key, tensor in memory.state_dict().items()}}}, path)
    return path


def frames(n, video=0):
    return [plan_scene((video,), n, SIZE).frame(k) for k in range(n)]


def parts(samples):
    return [tuple(sample.pred_instances[key] for key in ('bboxes', 'scores', 'labels')) for sample in samples]


def assert_equal(samples, expected, px=0.0):
    torch.testing.assert_close(parts(samples), parts(expected), rtol=0, atol=px)


def test_streams_join_leave_save_and_resume(make, tmp_path):
    detector, one, other = make(), frames(5), frames(3, video=1)
    alone, alone_too = ([detector.detect_batch([image], [name])[0] for image in images]
                        for name, images in (('a', one), ('b', other)))
    seen = [detector.detect_batch([one[0]], ['c'])]
    seen += [detector.detect_batch([one[k], other[k - 1]], ['c', 'd']) for k in (1, 2, 3)]
    detector.save_state(tmp_path / 'state.pt')
    resumed = make()
    resumed.load_state(tmp_path / 'state.pt')
    seen += [resumed.detect_batch([one[4]], ['c'])]
    assert_equal([samples[0] for samples in seen], alone)
    assert_equal([samples[1] for samples in seen[1:4]], alone_too)
    with pytest.raises(InputError, match='state.pt'):
        make('eager').load_state(tmp_path / 'state.pt')


def test_states_own_their_memory_and_reach_the_next_frame(make):
    detector, images = make(), frames(3)
    last = [detector(image) for image in images][-1]
    for past in tensors_of(detector.bank.held()[0].state):
        assert past.untyped_storage().nbytes() == past.numel() * past.element_size()
    detector.reset()
    assert not torch.equal(detector(images[-1]).pred_instances.bboxes, last.pred_instances.bboxes)


@pytest.mark.parametrize('has_memory', [False, True])
def test_nearly_all_detections_of_eager_mode_stay(make, has_memory, tmp_path, monkeypatch):
    """Boxes that score at least 0.5 have an int8 box of their class with an IoU of 0.8."""
    keys = {}
    if has_memory:  # another test counts the graphs in the cache of this module
        monkeypatch.setenv('TSM_DET_CACHE', str(tmp_path))
        keys = dict(config='tsm_faster_rcnn_r18_synthvid_memory', weights=weights_with_memory(tmp_path / 'weights.pth'))
    int8, exact, found = make(**keys), make('eager', **keys), []
    for image in frames(12):
        boxes, expected = int8(image).pred_instances, exact(image).pred_instances
        expected = expected[expected.scores >= 0.5]
        overlaps = bbox_overlaps(expected.bboxes, boxes.bboxes) * (expected.labels[:, None] == boxes.labels)
        found += (overlaps.amax(1) >= 0.8).tolist()
    assert len(found) > 20
    assert bool(int8.bank.held()[0].state.memory) == has_memory
    assert np.mean(found) > 0.9


def test_a_graph_comes_from_the_cache_and_is_made_again_when_damaged(make, monkeypatch):
    """Made again without rounding, which shows that it was, and that the streams then equal those of eager mode."""
    expected = make()(frames(1)[0])
    [path] = Path(os.environ['TSM_DET_CACHE'], 'openvino').iterdir()
    content = path.read_bytes()
    monkeypatch.setattr('nncf.quantize', lambda model, *_, **__: model)
    assert_equal([make()(frames(1)[0])], [expected])
    assert 'openvino_telemetry' not in sys.modules
    path.write_bytes(content[:len(content) // 2] + b'?' + content[len(content) // 2 + 1:])
    pairs = [*zip(frames(4), frames(4, video=1), strict=True)]
    made, exact, read = ([detector.detect_batch(pair, ['a', 'b']) for pair in pairs]
                         for detector in (make(), make('eager'), make()))
    path.write_bytes(content)
    for batches in zip(made, exact, read, strict=True):
        assert_equal(batches[0], batches[1], px=1e-3)
        assert_equal(batches[0], batches[2])


@pytest.mark.parametrize(('videos', 'read'), [(1, 1), (3, 3), (40, 4)])
def test_the_first_frames_of_so_many_videos_calibrate(folder, videos, read):
    from tsm_det.engines.quantization import some_frames, training_videos
    init_default_scope('mmdet')
    config = load_config(config_path('tsm_faster_rcnn_r18_synthvid'),
                         {'train_dataloader.dataset.data_root': f'{folder}/data'})
    numbers, data = zip(*some_frames(training_videos(config), videos), strict=True)
    assert numbers == tuple(range(8)) * read
    assert len({frame['data_samples'].video_data_samples[0].video_id for frame in data}) == read


def test_missing_training_data_and_packages_and_other_detectors_are_named(make, monkeypatch):
    other = make(**{'train_dataloader.dataset.type': 'CocoVIDDataset',
                    'train_dataloader.dataset.ann_file': 'none.json'})
    with pytest.raises(InputError, match=r'openvino-int8 .*none\.json'):
        other(frames(1)[0])
    with pytest.raises(InputError, match='GFLHead .*openvino-int8'):
        with_engine(build('GFL'), 'openvino-int8')
    with pytest.raises(InputError, match='direction'):
        make(**{'model.backbone.direction': 'both', 'model.neck.direction': 'both'})
    monkeypatch.setitem(sys.modules, 'nncf', None)
    with pytest.raises(InputError, match=r'nncf .*tsm_det\[openvino\]'):
        make()


SIGNALS = """
import faulthandler, signal
import openvino
from openvino import opset13
from tsm_det.engines.openvino import CompiledGraph

def graph():
    clip = opset13.parameter([1, 1, 3, 8, 8])
    return CompiledGraph(openvino.Model([opset13.relu(clip)], [clip]))

faulthandler.enable()
signal.signal(signal.SIGCHLD, lambda *_: print('handled'))
first, second = graph(), graph()
del first
del second
signal.raise_signal(signal.SIGCHLD)
"""


def test_signals_are_handled_after_graphs_ended_in_the_order_they_were_made():
    process = subprocess.run([sys.executable, '-c', SIGNALS], capture_output=True, text=True, timeout=300)
    assert (process.returncode, process.stdout) == (0, 'handled\n'), process.stderr
