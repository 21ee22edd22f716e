"""Class names of checkpoints are read wherever they stand, and counted against the head."""

import pytest
import torch

from tests.tiny import tiny_detector, tiny_model_config
from tsm_det.config import config_path, load_config
from tsm_det.errors import InputError
from tsm_det.models.class_names import learned_classes
from tsm_det.models.loading import build_detector

NAMES = ['disc', 'square', 'triangle', 'star']


@pytest.fixture(scope='module')
def weights():
    return tiny_detector().state_dict()


@pytest.fixture
def detector(weights, tmp_path):
    """Build the tiny detector, which has 4 classes, with this meta in its checkpoint and these options."""
    def build(meta, **options):
        config = load_config(config_path('tsm_faster_rcnn_r18_synthvid'), options)
        config.model = tiny_model_config()
        torch.save({'state_dict': weights, 'meta': meta}, tmp_path / 'named.pth')
        return build_detector(config, str(tmp_path / 'named.pth'))
    return build


@pytest.mark.parametrize('meta', [
    {'dataset_meta': {'classes': NAMES}}, {'dataset_meta': {'CLASSES': tuple(NAMES)}}, {'CLASSES': tuple(NAMES)},
    {'classes': NAMES}, {'CLASSES': None, 'dataset_meta': {'classes': NAMES}}])
def test_names_stand_where_any_version_of_mmdet_put_them(detector, meta):
    assert detector(meta).dataset_meta['classes'] == tuple(NAMES)


@pytest.mark.parametrize('meta', [{}, {'dataset_meta': {}}, {'CLASSES': None}])
def test_without_names_those_of_the_config_count(detector, meta):
    key = 'test_dataloader.dataset.metainfo'
    assert learned_classes({'meta': meta}, 'x.pth') is None
    assert detector(meta).dataset_meta['classes'] == tuple(f'class {label}' for label in range(4))
    assert detector(meta, **{key: {'classes': list('abcd')}}).dataset_meta['classes'] == tuple('abcd')
    with pytest.raises(InputError, match=r'4 .* 2 \(a, b\)'):
        detector(meta, **{key: {'classes': ['a', 'b']}})


@pytest.mark.parametrize('meta', [{'dataset_meta': {'classes': NAMES[:3]}}, {'CLASSES': [*NAMES, 'fifth']}])
def test_another_number_of_names_than_the_head_has_classes_is_refused(detector, meta):
    with pytest.raises(InputError, match='4 .*named.pth has [35]'):
        detector(meta)


@pytest.mark.parametrize('names', ['bird', [1, 2], {'bird': 0}])
def test_names_that_are_no_list_are_refused(names):
    with pytest.raises(InputError, match='CLASSES of the checkpoint x.pth'):
        learned_classes({'meta': {'CLASSES': names}}, 'x.pth')
