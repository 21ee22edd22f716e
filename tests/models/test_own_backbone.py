"""docs/add_a_backbone.md works as written."""

import re
import sys
import types
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from torch.testing import assert_close

from tsm_det.models.backbones import temporal_backbone

PAGE = Path(__file__).parents[2] / 'docs' / 'add_a_backbone.md'


@pytest.fixture(scope='module')
def page():
    """The module of the page's first block of code."""
    code = re.search(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)[1]
    assert len(code.splitlines()) <= 36
    module = types.ModuleType('own_backbone')
    sys.modules['own_backbone'] = module
    exec(compile(code, str(PAGE), 'exec'), module.__dict__)
    yield module
    for name in ('MyNet', 'TSMMyNet'):
        MODELS._module_dict.pop(name)


@torch.no_grad()
def test_a_network_of_ones_own_is_temporal_by_one_line(page):
    network, clip = MODELS.build(dict(type='TSMMyNet', shift_div=4)).eval(), torch.randn(1, 4, 3, 32, 32)
    assert network.sites == ((0, 0), (0, 1), (1, 0), (1, 1))
    whole, _ = network.forward_clip(clip)
    past, pieces = (), []
    for frame in clip.split(1, dim=1):
        feats, past = network.forward_clip(frame, past)
        pieces.append(feats)
    assert_close([torch.cat(levels) for levels in zip(*pieces, strict=True)], list(whole))
    plain = page.MyNet()
    plain.load_state_dict(network.state_dict())
    off = MODELS.build(dict(type='TSMMyNet', shift_stages=()))
    off.load_state_dict(network.state_dict())
    assert all(map(torch.equal, off(clip[:, 0]), plain(clip[:, 0])))


def test_a_pattern_without_a_match_lists_similar_names(page):
    MODELS._module_dict.pop('TSMMyNet')
    wrong = temporal_backbone(page.MyNet, r'stages(\d+)\.(\d+)\.conv1')
    with pytest.raises(ValueError, match=r'stages.*stage1\.0\.conv'):
        wrong()
