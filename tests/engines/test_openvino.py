"""The OpenVINO engine: int8 detections near those of eager mode, its streams, its cache, and what it refuses."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import bbox_overlaps

from tests.models.test_detectors import build
from tests.tiny import TINY
from tsm_det import OnlineDetector, config_path
from tsm_det.config import parse_options
from tsm_det.datasets.synthetic_vid import make_synthetic_vid, plan_scene
from tsm_det.engines import with_engine
from tsm_det.errors import InputError
from tsm_det.shift import tensors_of

pytest.importorskip('openvino', reason="pip install 'tsm_det[openvino]'")
pytest.importorskip('nncf', reason="pip install 'tsm_det[openvino]'")
CONFIG = config_path('tsm_faster_rcnn_r18_synthvid')


@pytest.fixture(scope='module')
def settings(tmp_path_factory):
    """A cache of this module, and options of a tiny detector with training data of its own."""
    folder = tmp_path_factory.mktemp('openvino')
    make_synthetic_vid(folder / 'data', train_videos=2, val_videos=1, frames_per_video=6)
    options = parse_options(TINY.split())
    options.update({'model.test_cfg.rcnn.score_thr': 0.0, 'model.test_cfg.rcnn.max_per_img': 20,
                    'test_dataloader.dataset.pipeline.0.transforms.2.scale': (64, 64),
                    'train_dataloader.dataset.data_root': f'{folder}/data'})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('TSM_DET_CACHE', str(folder / 'cache'))
        yield options


@pytest.fixture
def make(settings):
    def make(engine='openvino-int8', **options):
        torch.manual_seed(0)
        return OnlineDetector.from_config(CONFIG, engine=engine, cfg_options={**settings, **options})
    return make


def frames(n, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return list(coarse.repeat(8, axis=1).repeat(8, axis=2))


def numbers(sample):
    return tuple(sample.pred_instances[key] for key in ('bboxes', 'scores', 'labels'))


def assert_equal(samples, expected):
    torch.testing.assert_close([*map(numbers, samples)], [*map(numbers, expected)], rtol=0, atol=0)


def test_streams_join_leave_save_and_resume(make, tmp_path):
    detector, (one, other) = make(), (frames(5), frames(5, 1))
    alone = [[detector.detect_batch([image], [name])[0] for image in images]
             for name, images in (('a', one), ('b', other[:3]))]
    together, resumed = make(), make()
    seen = [together.detect_batch([one[0]], ['a'])]
    seen += [together.detect_batch([one[k], other[k - 1]], ['a', 'b']) for k in (1, 2, 3)]
    together.save_state(tmp_path / 'state.pt')
    resumed.load_state(tmp_path / 'state.pt')
    seen += [resumed.detect_batch([one[4]], ['a'])]
    assert_equal([samples[0] for samples in seen], alone[0])
    assert_equal([samples[1] for samples in seen[1:4]], alone[1])
    with pytest.raises(InputError, match='state.pt'):
        make('eager').load_state(tmp_path / 'state.pt')


def test_states_own_their_memory_and_reach_the_next_frame(make):
    detector, images = make(), frames(3)
    last = [detector(image) for image in images][-1]
    for past in tensors_of(detector.bank.held()[0].state):
        assert past.untyped_storage().nbytes() == past.numel() * past.element_size()
    detector.reset()
    assert not torch.equal(detector(images[-1]).pred_instances.scores, last.pred_instances.scores)


@pytest.mark.slow
def test_a_trained_detector_keeps_its_detections(settings):
    """Nearly all boxes of eager mode that score at least 0.5 have an int8 box of their class with an IoU of 0.8."""
    [weights] = (Path(__file__).parents[2] / 'data' / 'checkpoints').glob('tsm_faster_rcnn_r18_synthvid-*.pth')
    options = {key: value for key, value in settings.items() if key.startswith('train_dataloader')}
    int8, exact = (OnlineDetector.from_config(CONFIG, str(weights), engine=engine, cfg_options=options)
                   for engine in ('openvino-int8', 'eager'))
    scene, found = plan_scene((0,), 12, (128, 128)), []
    for image in map(scene.frame, range(12)):
        boxes, expected = int8(image).pred_instances, exact(image).pred_instances
        expected = expected[expected.scores >= 0.5]
        overlaps = bbox_overlaps(expected.bboxes, boxes.bboxes) * (expected.labels[:, None] == boxes.labels)
        found += (overlaps.amax(1) >= 0.8).tolist()
    assert len(found) > 20
    assert np.mean(found) > 0.9


def test_the_graph_is_read_from_the_cache_and_made_again_when_damaged(make, monkeypatch):
    expected = make()(frames(1)[0])
    path = min(Path(os.environ['TSM_DET_CACHE'], 'openvino').glob('*.zip'), key=os.path.getsize)  # the tiny one
    content = path.read_bytes()
    monkeypatch.setattr('nncf.quantize', lambda model, *_, **__: model)  # which shows that it was called
    assert_equal([make()(frames(1)[0])], [expected])
    path.write_bytes(content[:len(content) // 2] + b'?' + content[len(content) // 2 + 1:])
    exact = make()(frames(1)[0])
    assert not torch.equal(exact.pred_instances.scores, expected.pred_instances.scores)
    assert_equal([make()(frames(1)[0])], [exact])
    path.write_bytes(content)


def test_missing_training_frames_packages_and_detectors_are_named(make, monkeypatch):
    other = make(**{'train_dataloader.dataset.type': 'CocoVIDDataset',
                    'train_dataloader.dataset.ann_file': 'none.json'})
    with pytest.raises(InputError, match=r'openvino-int8 .*none\.json'):
        other(frames(1)[0])
    with pytest.raises(InputError, match='GFLHead .*openvino-int8'):
        with_engine(build('GFL'), 'openvino-int8')
    monkeypatch.setitem(sys.modules, 'nncf', None)
    with pytest.raises(InputError, match=r'nncf .*tsm_det\[openvino\]'):
        make()
