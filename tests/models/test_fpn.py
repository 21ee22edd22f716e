"""The keys of TSMFPN."""

import pytest
import torch
from mmdet.models.necks import FPN

from tsm_det.models.necks import TSMFPN

WIDTHS = [16, 32, 64]


def pyramid(**keys):
    torch.manual_seed(0)
    keys = {**dict(in_channels=WIDTHS, out_channels=8, num_outs=4, shift_levels=(0, 1, 2)), **keys}
    return TSMFPN(**keys).eval().double()


def features(frames):
    return [torch.randn(frames, width, 16 >> i, 16 >> i, dtype=torch.double) for i, width in enumerate(WIDTHS)]


@pytest.mark.parametrize('shift_at', ['lateral', 'inner'])
@torch.no_grad()
def test_without_a_shift_both_placements_equal_fpn(shift_at):
    """The inner path is our own spelling of FPN: with its shift undone it must give what FPN gives."""
    neck = pyramid(shift_at=shift_at)
    plain = FPN(in_channels=WIDTHS, out_channels=8, num_outs=4).eval().double()
    plain.load_state_dict(neck.state_dict())
    feats = features(2)
    still = [feat[:1].expand_as(feat) for feat in feats]  # a picture that stands still: frame 1 shifts into itself
    ours, _ = neck.forward_clip(still, num_frames=2)
    for one, two in zip(ours, plain(still), strict=True):
        torch.testing.assert_close(one[1], two[1])


@pytest.mark.parametrize(('shift_at', 'widths'), [('lateral', [2, 4, 8]), ('inner', [1, 1, 1])])
def test_the_state_is_an_eighth_of_what_the_sites_see(shift_at, widths):
    _, present = pyramid(shift_at=shift_at).forward_clip(features(3), num_frames=3)
    assert [tuple(tensor.shape) for tensor in present] == [(1, w, 16 >> i, 16 >> i) for i, w in enumerate(widths)]


@torch.no_grad()
def test_only_the_named_levels_have_a_past():
    neck, feats = pyramid(shift_levels=(0,)), features(2)
    other = [feat.clone() for feat in feats]
    for feat in other:
        feat[0] += 1
    before, after = neck.forward_clip(feats, 2)[0], neck.forward_clip(other, 2)[0]
    assert [torch.equal(a[1], b[1]) for a, b in zip(before, after, strict=True)] == [False, True, True, True]


@pytest.mark.parametrize('keys', [dict(start_level=1, shift_levels=(0, 1), num_outs=3),
                                  dict(add_extra_convs='on_output'),
                                  dict(add_extra_convs='on_input', shift_at='inner'),
                                  dict(upsample_cfg=dict(scale_factor=2))], ids=str)
@torch.no_grad()
def test_fpns_own_keys_work_with_sites(keys):
    neck, feats = pyramid(**keys), features(3)
    whole, _ = neck.forward_clip(feats, 3)
    past = ()
    for t in range(3):
        last, past = neck.forward_clip([feat[t:t + 1] for feat in feats], 1, past)
    for one, two in zip(last, whole, strict=True):
        torch.testing.assert_close(one, two[2:])


@torch.no_grad()
def test_a_scale_factor_works_inside_the_pyramid():
    by_size, by_factor = pyramid(shift_at='inner'), pyramid(shift_at='inner', upsample_cfg=dict(scale_factor=2))
    feats = features(2)
    for one, two in zip(by_size.forward_clip(feats, 2)[0], by_factor.forward_clip(feats, 2)[0], strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize(('keys', 'message'), [
    (dict(shift_at='outer'), "'outer'"),
    (dict(shift_levels=(0, 3)), r'shift_levels has \[3\].*0 to 2'),
    (dict(shift_div=17), 'shift_div is 17.*1 to 16'),
    (dict(shift_at='inner', shift_div=9), 'shift_div is 9.*1 to 8'),
])
def test_a_wrong_key_gets_one_sentence(keys, message):
    with pytest.raises(ValueError, match=message):
        pyramid(**keys)
