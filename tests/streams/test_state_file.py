"""Saved streams continue in another process."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import tiny_detector
from tsm_det.engines import with_engine
from tsm_det.errors import InputError
from tsm_det.sealed import seal
from tsm_det.streams.state_file import _FORMAT, model_signature


def frames(n, seed=0, size=(128, 128)):
    return list(np.random.default_rng(seed).integers(0, 256, (n, *size, 3), dtype=np.uint8))


def found(samples):
    return [[sample.pred_instances[key] for key in ('bboxes', 'scores', 'labels')] for sample in samples]


def run(detector, seen, start=0):
    """Two streams of different sizes, frame by frame."""
    return [found(detector.detect_batch([a, b], ['a', 7], [k, 2 * k])) for k, (a, b) in enumerate(seen, start)]


@pytest.fixture
def seen():
    return list(zip(frames(6), frames(6, 1, (96, 128)), strict=True))


def test_saved_streams_continue_bit_for_bit(make_detector, seen, tmp_path):
    whole = run(make_detector(), seen)
    stopped = make_detector()
    run(stopped, seen[:3])
    stopped.save_state(tmp_path / 'new' / 'state.pt')
    resumed = make_detector()
    resumed.load_state(tmp_path / 'new' / 'state.pt')
    assert str(run(resumed, seen[3:], start=3)) == str(whole[3:])
    assert str(run(make_detector(), seen[3:], start=3)) != str(whole[3:])  # the state matters


@pytest.mark.slow
def test_another_process_continues_bit_for_bit(make_detector, seen, tmp_path):
    detector = make_detector()
    run(detector, seen[:3])
    detector.save_state(tmp_path / 'state.pt')
    torch.save(run(detector, seen[3:], start=3), tmp_path / 'here.pt')
    program = (
        'import sys, torch\n'
        'from tests.streams.conftest import make_detector\n'
        'from tests.streams.test_state_file import frames, run\n'
        'torch.set_num_threads(int(sys.argv[2]))\n'
        'detector = make_detector.__wrapped__()()\n'
        'detector.load_state(sys.argv[1] + "/state.pt")\n'
        'seen = list(zip(frames(6), frames(6, 1, (96, 128))))\n'
        'torch.save(run(detector, seen[3:], start=3), sys.argv[1] + "/there.pt")\n')
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, '-c', program, str(tmp_path), str(torch.get_num_threads())], check=True, cwd=root,
                   env={**os.environ, 'PYTHONPATH': str(root)})
    here, there = (torch.load(tmp_path / f'{name}.pt') for name in ('here', 'there'))
    torch.testing.assert_close(there, here, rtol=0, atol=0)


def test_a_frame_that_was_seen_already_starts_over_after_loading(make_detector, seen, tmp_path):
    detector = make_detector()
    run(detector, seen[:3])
    detector.save_state(tmp_path / 'state.pt')
    resumed = make_detector()
    resumed.load_state(tmp_path / 'state.pt')
    reasons = [sample.metainfo['reset'] for sample in resumed.detect_batch(seen[0], ['a', 7], [2, 5])]
    assert reasons == ['seek', None]


def test_the_signature_knows_every_weight(make_detector):
    model = make_detector().model
    before = model_signature(model)
    assert model_signature(make_detector().model) == before
    with torch.no_grad():
        model.rpn_head.rpn_cls.bias[0] += 1e-6
    assert model_signature(model) != before


@pytest.mark.parametrize('change', [
    {'mean': [1.0, 2.0, 3.0]}, {'std': [57.0, 57.0, 57.5]}, {'bgr_to_rgb': False}, {'pad_size_divisor': 64}])
def test_the_signature_knows_how_frames_are_normalised(change):
    assert model_signature(tiny_detector(data_preprocessor=change)) != model_signature(tiny_detector())


def test_the_signature_knows_the_engine(make_detector):
    model = make_detector().model
    assert not [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)], 'nothing is folded'
    signatures = [model_signature(with_engine(model, engine)) for engine in ('eager', 'fast', 'compiled')]
    assert len(set(signatures)) == 3
    assert model_signature(with_engine(model, 'fast')) == signatures[1]


@pytest.mark.parametrize(('content', 'message'), [
    (None, 'cannot be read (No such file or directory)'),
    (b'', 'is not a state file'),
    (b'some bytes', 'is not a state file'),
    ({'format': 'another'}, 'is not a state file'),
    ([1, 2], 'is not a state file'),
    ({'format': 'tsm_det streams 3'}, 'is not a state file of this version'),
    ({'format': _FORMAT, 'model': 'x', 'streams': [{}], 'places': {}}, 'is not a state file'),
    ({'format': _FORMAT, 'model': 'x', 'streams': [], 'places': {'a': (1, 2)}}, 'is not a state file'),
    ({'format': _FORMAT, 'model': 'x', 'streams': [], 'places': {}}, 'was saved by a model with other weights')])
def test_another_file_is_refused_as_a_state(make_detector, tmp_path, content, message):
    path = tmp_path / 'state.pt'
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
        path.write_bytes(seal(path.read_bytes()))
    with pytest.raises(InputError) as error:
        make_detector().load_state(path)
    assert message in str(error.value) and '\n' not in str(error.value)


def craft(path, change):
    """Change the content of a state file and seal it again."""
    content = torch.load(path, weights_only=True)
    change(content, content['streams'][0])
    torch.save(content, path)
    path.write_bytes(seal(path.read_bytes()))


@pytest.mark.parametrize('change', [
    lambda _, stream: stream.update(frame_id='three'), lambda _, stream: stream.update(frame_id=-1),
    lambda _, stream: stream.update(stream_id=[1]), lambda _, stream: stream.update(size=(128,)),
    lambda _, stream: stream.update(size='ab'), lambda _, stream: stream.update(more=1),
    lambda _, stream: stream['state'].update(backbone=[3]), lambda _, stream: stream['state'].pop('neck'),
    lambda _, stream: stream['state'].update(neck=[past.int() for past in stream['state']['neck']]),
    lambda _, stream: stream['state'].update(neck=[past[0] for past in stream['state']['neck']]),
    lambda _, stream: stream['state'].update(neck=[torch.tensor(1.0)]),
    lambda content, _: content.update(streams=content['streams'] * 2),
    lambda content, _: content.update(places={'a': ('b', None, None, 1.0, None)}),
    lambda content, _: content.update(places={'a': (1, None, None, 'now', None)})])
def test_values_of_another_kind_are_refused_at_loading(make_detector, seen, tmp_path, change):
    detector = make_detector()
    run(detector, seen[:1])
    detector.save_state(tmp_path / 'state.pt')
    craft(tmp_path / 'state.pt', change)
    with pytest.raises(InputError):
        detector.load_state(tmp_path / 'state.pt')
    assert len(detector.bank) == 2


@pytest.mark.parametrize('part', ['backbone', 'neck'])
@pytest.mark.parametrize('change', [lambda pasts: pasts[1:], lambda pasts: [past[..., 1:] for past in pasts],
                                    lambda pasts: [*pasts, pasts[0]]])
@pytest.mark.parametrize('ids', [['a'], ['a', 'b']])
def test_states_of_another_shape_are_refused_at_the_next_frame(make_detector, seen, tmp_path, part, change, ids):
    detector, images = make_detector(), [seen[0][0]] * len(ids)
    detector.detect_batch(images, ids)
    detector.save_state(tmp_path / 'state.pt')
    craft(tmp_path / 'state.pt', lambda _, stream: stream['state'].update({part: change(stream['state'][part])}))
    detector.load_state(tmp_path / 'state.pt')
    with pytest.raises(InputError):
        detector.detect_batch(images, ids)


class Evil:
    def __reduce__(self):
        return os.mkdir, ('evil',)


def test_a_state_file_runs_no_code(make_detector, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({'format': _FORMAT, 'model': Evil(), 'streams': [], 'places': {}}, 'state.pt')
    Path('state.pt').write_bytes(seal(Path('state.pt').read_bytes()))
    with pytest.raises(InputError, match='state.pt is not a state file'):
        make_detector().load_state('state.pt')
    assert not Path('evil').exists()


def test_an_id_that_cannot_be_saved_is_named(make_detector, tmp_path):
    detector = make_detector()
    detector.detect_batch(frames(1), [('camera', 1)])
    with pytest.raises(InputError, match=r"the stream id \('camera', 1\) cannot be saved"):
        detector.save_state(tmp_path / 'state.pt')
    assert not list(tmp_path.iterdir())


def test_a_state_with_more_streams_than_the_capacity_is_refused(make_detector, seen, tmp_path):
    detector = make_detector()
    run(detector, seen[:1])
    detector.save_state(tmp_path / 'state.pt')
    with pytest.raises(ValueError, match='2 streams .* 1'):
        make_detector(capacity=1).load_state(tmp_path / 'state.pt')
