"""The published weights match their metafile and their configs."""

import hashlib
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config

from tsm_det.comparison.runs import differing_keys
from tsm_det.config import load_config
from tsm_det.models.loading import build_detector

ROOT = Path(__file__).parent.parent
METAFILE = ROOT / 'data/checkpoints/metafile.yml'
MODELS = {model['Name']: model for model in yaml.safe_load(METAFILE.read_text())['Models']}


@pytest.mark.parametrize('name', MODELS)
class TestPublished:
    def test_name_says_what_is_in_the_file(self, name):
        path = ROOT / MODELS[name]['Weights']
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.name == f'{name}-{digest[:8]}.pth'

    def test_config_builds_the_network_that_was_trained(self, name):
        path = ROOT / MODELS[name]['Weights']
        meta = torch.load(path, weights_only=True)['meta']
        config = load_config(ROOT / MODELS[name]['Config'])
        then = Config.fromstring(meta['cfg'], '.py')
        # RoIAlign is computed in another way since: no part of what was learned.
        assert set(differing_keys(then.model, config.model)) <= {'roi_head.bbox_roi_extractor.type'}
        detector = build_detector(config, str(path))
        said = MODELS[name]['Metadata']
        assert list(detector.dataset_meta['classes']) == said['Classes']
        assert sum(parameter.numel() for parameter in detector.parameters()) == said['Parameters']
        assert round(path.stat().st_size / 1e6, 2) == said['File Size (MB)']


def test_no_other_weights_lie_beside_them():
    listed = {Path(model['Weights']).name for model in MODELS.values()}
    assert {path.name for path in METAFILE.parent.iterdir()} == listed | {METAFILE.name, 'LICENSE'}
