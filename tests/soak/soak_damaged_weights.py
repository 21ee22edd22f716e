"""State files, checkpoints, published weights and ONNX files with flipped bits or a missing end: one sentence."""

import random
import shutil
from collections import Counter

import numpy as np
import pytest
import torch

from tests.export.conftest import exported as exported  # a fixture
from tests.export.conftest import frames
from tests.streams.conftest import make_detector as make_detector  # a fixture
from tests.test_sealed import PUBLISHED, flip, saved
from tests.tiny import tiny_detector
from tsm_det.errors import InputError
from tsm_det.export.exported_detector import open_detector
from tsm_det.models.checkpoint_file import read_checkpoint
from tsm_det.sealed import seal
from tsm_det.streams.state_file import read_state

FLIPS, CUTS = 200, 100


def damaged_copies(path, seed):
    """Damage the file in place, again and again; it is whole in the end."""
    rng, content = random.Random(seed), path.read_bytes()
    for _ in range(FLIPS):
        bit = rng.randrange(8 * len(content))
        flip(path, bit)
        yield 'flip'
        flip(path, bit)
    for _ in range(CUTS):
        path.write_bytes(content[:rng.randrange(len(content))])
        yield 'cut'
    path.write_bytes(content)


def assert_refused(path, read):
    for damage in damaged_copies(path, path.name):
        with pytest.raises(InputError) as refusal:
            read(path)
        assert str(path) in str(refusal.value) and len(str(refusal.value).splitlines()) == 1, damage
    assert read(path)
    print(f'\n{path.name}: {FLIPS} flips and {CUTS} cuts are refused')


def test_a_damaged_state_file_is_refused(make_detector, tmp_path):
    detector = make_detector()
    detector(np.zeros((64, 64, 3), np.uint8))
    detector.save_state(tmp_path / 'state.pt')
    signature = detector.signature()
    assert_refused(tmp_path / 'state.pt', lambda path: read_state(path, signature)[0])


def test_a_damaged_checkpoint_is_refused(tmp_path):
    (tmp_path / 'iter_3.pth').write_bytes(seal(saved({'state_dict': tiny_detector().state_dict()})))
    assert_refused(tmp_path / 'iter_3.pth', lambda path: read_checkpoint(str(path)))


@pytest.mark.parametrize('published', PUBLISHED, ids=lambda path: path.name)
def test_damaged_published_weights_are_refused(tmp_path, published):
    shutil.copy(published, tmp_path)
    assert_refused(tmp_path / published.name, lambda path: read_checkpoint(str(path)))


def test_a_damaged_onnx_file_is_refused_or_detects_the_same(exported, tmp_path):
    path, outcomes = tmp_path / 'model.onnx', Counter()
    shutil.copy(exported.path, path)
    image = frames(1)[0]
    expected = open_detector(str(path))(image).pred_instances.bboxes
    for damage in damaged_copies(path, path.name):
        try:
            assert torch.equal(open_detector(str(path))(image).pred_instances.bboxes, expected)
            outcomes[f'{damage}: the same'] += 1
        except InputError as error:
            assert len(str(error).splitlines()) == 1, damage
            outcomes[f'{damage}: refused'] += 1
    print(f'\n{path.name}: {dict(outcomes)}')
