"""Laws of the bi-directional shift in every registered backbone and neck."""

import pytest
import torch
from torch.testing import assert_close

from tests.models.families import BACKBONES, NECKS, build_part, features, frames
from tsm_det.errors import InputError
from tsm_det.windows import windows

PARTS = [*BACKBONES, *NECKS, *(f'{name} inner' for name in NECKS if name != 'ChannelMapper')]
# A path passes one branch of each of HRNet's modules, and one level of most necks; elsewhere it passes all sites.
PARALLEL = {'HRNet': 8, 'FPN': 1, 'PAFPN': 1, 'ChannelMapper': 1, **{name: 1 for name in PARTS if 'inner' in name}}


def offline(name, **keys):
    family, _, at = name.partition(' ')
    keys = {**{**BACKBONES, **NECKS}[family], **(dict(shift_at=at) if at else {}), **keys}
    if family == 'Darknet':  # its 23 sites would take long clips
        keys.setdefault('shift_stages', (0, 1, 4))
    return build_part(f'TSM{family}', direction='both', **keys)


def inputs(name, count, seed=0):
    """Frames as small as the network allows, or features."""
    return frames(count, seed, size=32) if name in BACKBONES else features(count, seed)


def clip_of(name, part, given, n=1):
    """Levels ``(N, T, ...)``."""
    t = (len(given) if name in BACKBONES else len(given[0])) // n
    feats = part.forward_clip(given.unflatten(0, (n, t)))[0] if name in BACKBONES else part.forward_clip(given, t)[0]
    return [level.unflatten(0, (n, t)) for level in feats]


def take(given, rows):
    return [level[rows] for level in given] if isinstance(given, list) else given[rows]


def each(function, *given):
    """Apply to maps, or to the maps of all levels."""
    return [function(*maps) for maps in zip(*given, strict=True)] if isinstance(given[0], list) else function(*given)


@pytest.mark.parametrize('name', PARTS)
@torch.no_grad()
def test_it_equals_mmdets_network_with_a_plain_loop_in_front_of_its_modules(name):
    part, given = offline(name), inputs(name, 2 * 4)
    family = name.split()[0]
    plain = build_part(family, **{**BACKBONES, **NECKS}[family])
    plain.load_state_dict(part.state_dict())

    def shift_by_loop(_module, args):
        maps = args[0].transpose(1, 2).unsqueeze(2) if args[0].ndim == 3 else args[0]
        fold, shifted = maps.shape[1] // 8, maps.clone()
        for row in range(8):
            place = row % 4
            shifted[row, :fold] = maps[row + 1, :fold] if place < 3 else 0
            shifted[row, fold:2 * fold] = maps[row - 1, fold:2 * fold] if place > 0 else 0
        return (shifted.squeeze(2).transpose(1, 2) if args[0].ndim == 3 else shifted, *args[1:])
    for site in part.site_names:
        plain.get_submodule(site).register_forward_pre_hook(shift_by_loop)
    assert_close([level.flatten(0, 1) for level in clip_of(name, part, given, 2)], list(plain(given)))


@pytest.mark.parametrize('name', PARTS)
@torch.no_grad()
def test_a_frame_changes_the_frames_within_reach_and_no_others(name):
    part = offline(name)
    assert part.reach == PARALLEL.get(name, len(part.sites))
    length, middle = 2 * part.reach + 3, part.reach + 1
    given, other = inputs(name, length), inputs(name, length, seed=5)
    changed = each(lambda one, two: torch.cat([one[:middle], two[middle:middle + 1], one[middle + 1:]]), given, other)
    levels = zip(clip_of(name, part, given), clip_of(name, part, changed), strict=True)
    differs = torch.stack([(one != two).flatten(2).any(2)[0] for one, two in levels]).any(0)
    assert differs.tolist() == [False, *[True] * (length - 2), False]


@pytest.mark.parametrize('name', PARTS)
@torch.no_grad()
def test_windows_with_a_margin_of_the_reach_equal_the_whole_video(name):
    part = offline(name)
    length = 2 * part.reach + 5
    given = inputs(name, length)
    cut = list(windows(range(length), part.reach + 3, part.reach))
    assert [(window[0], window[-1]) for window, _ in cut] == [(0, length - 3), (3, length - 1)]
    pieces = [[level[:, keep] for level in clip_of(name, part, take(given, window))] for window, keep in cut]
    assert_close([torch.cat(levels, 1) for levels in zip(*pieces, strict=True)], clip_of(name, part, given))


@pytest.mark.parametrize('name', ['ResNet', 'HRNet', 'SwinTransformer', 'FPN', 'CSPNeXtPAFPN'])
@torch.no_grad()
def test_a_smaller_margin_is_not_exact(name):
    part = offline(name)
    length = part.reach + 6
    given, whole = inputs(name, length), clip_of(name, part, inputs(name, length))
    window, keep = next(windows(range(length), 3, part.reach - 1))
    piece = clip_of(name, part, take(given, window))
    assert max((one[:, keep] - other[:, keep]).abs().max() for one, other in zip(piece, whole, strict=True)) > 1e-9


@pytest.mark.parametrize('name', [*BACKBONES, *NECKS])
@torch.no_grad()
def test_without_sites_it_equals_mmdet_and_reaches_no_frame(name):
    off = dict(shift_stages=()) if name in BACKBONES else dict(shift_levels=())
    ours, theirs = offline(name, **off), build_part(name, seed=1, **{**BACKBONES, **NECKS}[name])
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    given = inputs(name, 2)
    assert all(map(torch.equal, ours(given), theirs(given)))
    assert ours.reach == 0


@pytest.mark.parametrize('name', ['ResNet', 'MobileNetV2', 'SwinTransformer'])
def test_gradients_reach_both_neighbours_and_checkpointing_changes_none(name):
    gradients = []
    for with_cp in (False, True):
        network, clip = offline(name, with_cp=with_cp), frames(3, size=32).unsqueeze(0).requires_grad_()
        level = network.forward_clip(clip)[0][0]
        (level[1] ** 2).mean().backward()
        gradients.append([clip.grad, *(parameter.grad for parameter in network.parameters())])
    assert all(frame.abs().max() > 0 for frame in gradients[0][0][0])
    for one, other in zip(*gradients, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)


@pytest.mark.parametrize('name', ['ResNet', 'FPN'])
@torch.no_grad()
def test_a_past_and_other_operators_are_refused(name):
    part, given = offline(name), inputs(name, 2)
    _, present = part.forward_clip(given[None]) if name in BACKBONES else part.forward_clip(given, 2)
    assert [tensor.shape for tensor in present] == [(1, 0)] * len(part.sites)
    with pytest.raises(InputError, match="direction='past'"):
        part.forward_clip(given[None], present) if name in BACKBONES else part.forward_clip(given, 2, present)
    with pytest.raises(InputError, match="'sideways'"):
        build_part(f'TSM{name}', direction='sideways', **{**BACKBONES, **NECKS}[name])


def test_other_operators_read_past_frames_only():
    with pytest.raises(InputError, match="operator='shift'"):
        offline('ResNet', operator='conv')
