"""The pasts of a neck that the backbone holds already: against networks whose every site has a past of its own."""

import copy

import pytest
import torch

from tests.models.families import BACKBONES, build_part, frames
from tests.models.test_detectors import build
from tests.tiny import random_clip
from tsm_det.models import backbones
from tsm_det.models.shared_pasts import SharedPasts
from tsm_det.shift import ShiftState

READING = [name for name in BACKBONES if getattr(backbones, f'TSM{name}').reader]


def test_the_residual_networks_read_features_as_the_neck_gets_them():
    assert {'ResNet', 'ResNetV1d', 'ResNeXt', 'Res2Net', 'ResNeSt', 'RegNet', 'DetectoRS_ResNet'} == set(READING)


def pair(backbone, neck, **keys):
    """A backbone, and a neck for its features."""
    backbone = build_part(f'TSM{backbone}', **BACKBONES[backbone])
    widths = [level.shape[1] for level in backbone(frames(1))]
    start = dict(start_level=1) if neck != 'TSMChannelMapper' else {}
    return backbone, build_part(neck, in_channels=widths, out_channels=8, num_outs=len(widths), **start, **keys)


@pytest.mark.parametrize(('backbone', 'neck'), [
    *((backbone, 'TSMFPN') for backbone in READING), ('ResNet', 'TSMPAFPN'), ('ResNet', 'TSMChannelMapper')])
@torch.no_grad()
def test_a_shared_past_has_the_bits_of_the_necks_own(backbone, neck):
    backbone, neck = pair(backbone, neck)
    shared = SharedPasts(backbone, neck)
    mine, theirs = (), ()
    for seed in range(4):
        feats, mine = backbone.forward_clip(frames(2, seed).unflatten(0, (2, 1)), mine)
        _, theirs = neck.forward_clip(feats, 1, theirs)
        own = shared.own(theirs)
        assert len(own) == 1  # the last stage's features are read by the neck alone
        given = shared.of_neck(ShiftState(mine, own))
        assert all(map(torch.equal, given, theirs))
        assert len(given) == len(theirs)


@pytest.mark.parametrize('keys', [dict(shift_div=4), dict(shift_at='inner'), dict(shift_levels=())])
def test_sites_that_remember_something_else_share_nothing(keys):
    keys = {'shift_div': 8, **keys}
    backbone, neck = pair('ResNet', 'TSMFPN', **keys)
    presents = tuple(torch.zeros(1) for _ in neck.sites)
    assert SharedPasts(backbone, neck).own(presents) == presents


@pytest.mark.parametrize('name', ['FasterRCNN', 'RetinaNet', 'RTMDet', 'YOLOF', 'DINO'])
@torch.no_grad()
def test_a_detector_streams_as_with_a_past_for_every_site(name):
    model = build(name)
    every = copy.deepcopy(model)
    every._shared_pasts._shared = {}
    past = whole = None
    for frame in random_clip(2, 4).split(1, dim=1):
        feats, past = model.extract_clip(frame, past)
        expected, whole = every.extract_clip(frame, whole)
        assert all(map(torch.equal, feats, expected))
        assert len(past.neck) <= len(whole.neck)
        continued, _ = model.extract_clip(frame, whole)  # as an earlier version saved it
        again, _ = model.extract_clip(frame, past)
        assert all(map(torch.equal, continued, again))


@torch.no_grad()
def test_a_neck_past_of_another_length_is_refused():
    model = build('FasterRCNN')
    clip = random_clip(1, 1)
    _, past = model.extract_clip(clip)
    for neck in ((), past.neck * 2):
        with pytest.raises(ValueError, match=f'{len(neck)} tensors .* 1:'):
            model.extract_clip(clip, past._replace(neck=neck))
