"""The programs of docs/extend.md and the pages that the site lists."""

import re
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).parents[1] / 'docs'
BLOCKS = re.findall(r'```python\n(.*?)```', (DOCS / 'extend.md').read_text(), re.DOTALL)


@pytest.fixture
def operator():
    """The names that the page's operator defines and uses."""
    names = {}
    exec(BLOCKS[0], names)
    exec(BLOCKS[1], names)
    return names


def test_the_operator_of_the_page_obeys_the_law_of_clips(operator):
    from tsm_det.sites import Tape
    net, clip = operator['net'].eval(), torch.randn(2, 5, 3, 16, 16)
    [share] = [hook.__self__.operator.share for hook in net[1]._forward_pre_hooks.values()]

    def run(clip, past=()):
        with torch.no_grad(), Tape(1, clip.shape[:2], past) as tape:
            maps = net(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        return maps, tape.present(['1'])

    torch.nn.init.constant_(share, 0.5)
    whole, _ = run(clip)
    pieces, past = [], ()
    for piece in clip.split([1, 3, 1], dim=1):
        maps, past = run(piece, past)
        pieces.append(maps)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole)
    assert not torch.allclose(whole[:, 1:], run(clip[:, 1:])[0])  # the past matters


def test_the_site_lists_every_page():
    listed = set(re.findall(r'^([\w/]+)$', (DOCS / 'index.md').read_text(), re.MULTILINE))
    pages = {path.relative_to(DOCS).with_suffix('').as_posix() for path in [*DOCS.glob('*'), *DOCS.glob('results/*')]
             if path.suffix in ('.md', '.ipynb')}
    assert listed == pages - {'index'}
