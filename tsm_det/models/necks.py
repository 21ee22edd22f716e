"""Necks with the temporal shift, one site per level."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from mmdet.models import necks
from torch import Tensor, nn

from tsm_det.errors import InputError
from tsm_det.models.temporal_class import temporal_class
from tsm_det.shift_offline import shift_operator
from tsm_det.sites import Tape, attach_sites, is_recording, longest_path


class TemporalNeck(nn.Module):
    """Mixin: the online temporal shift in mmdet's pyramids.

    A pyramid has no identity path, so the present frame loses the channels that a site replaces. The loss is smallest
    at the lateral inputs: they are 1 to 8 times wider than the pyramid, and the levels above pass the lost part on. In
    the 256-channel path the heads lose an eighth of their map, but the state is smaller (R50-FPN at 608x1024, fp32:
    6.6 MB against 9.3) and the 3x3 convolution can follow motion.

    Args:
        shift_div: one channel in ``shift_div`` of a site's input comes from the previous frame.
        shift_levels: levels with a site, from 0 for the first that the neck uses; None is all, ``()`` equals mmdet's
            neck bit for bit.
        shift_at: 'lateral' shifts the inputs of the neck's first convolutions, 'inner' those of its output
            convolutions.
        direction: 'past' or 'both', as for backbones.
        kwargs: the parent's keys; raises InputError when a key is out of range.
    """

    lateral_pattern: str
    inner_pattern: str | None
    reads_inputs = False

    def __init__(self, *args, shift_div: int = 8, shift_levels: Sequence[int] | None = None,
                 shift_at: str = 'lateral', direction: str = 'past', **kwargs) -> None:
        super().__init__(*args, **kwargs)
        patterns = {'lateral': self.lateral_pattern}
        if self.inner_pattern:
            patterns['inner'] = self.inner_pattern
        if shift_at not in patterns:
            raise InputError(f'shift_at is {shift_at!r} but must be {" or ".join(map(repr, patterns))}')
        # A pyramid may have output convolutions beyond the levels of the backbone.
        names = _levels(self, patterns[shift_at])[:len(_levels(self, self.lateral_pattern))]
        levels = sorted(set(range(len(names)) if shift_levels is None else shift_levels))
        if unknown := set(levels) - set(range(len(names))):
            raise InputError(f'shift_levels has {sorted(unknown)} but the pyramid has levels 0 to {len(names) - 1}: '
                             'name levels to shift, () for none')
        self.shift_div, self.shift_at, self.direction = shift_div, shift_at, direction
        self.sites, self.site_names = tuple(levels), tuple(names[level] for level in levels)
        self.reach = longest_path(patterns[shift_at], self.site_names)
        modules: dict[str, Any] = dict(self.named_modules())
        widths = [modules[name].in_channels for name in self.site_names]
        if widths and not 1 <= shift_div <= min(widths):
            raise InputError(f'shift_div is {shift_div} but must be 1 to {min(widths)}, the channels of the narrowest '
                             'level')
        attach_sites(self, self.site_names, [shift_operator(direction, shift_div)] * len(levels))

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Compute the pyramid of images, each the first frame of its own stream."""
        return super().forward(inputs) if is_recording() else self.forward_clip(inputs, 1)[0]

    def forward_clip(self, feats: Sequence[Tensor], num_frames: int,
                     past: Sequence[Tensor] = ()) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Compute the pyramid of a clip that continues ``past``.

        Args:
            feats: backbone features ``(N*T, C_i, H_i, W_i)``, T = ``num_frames``.
            num_frames: frames per stream in this clip.
            past: one tensor ``(N, C_shift, H, W)`` per site, or ``()`` at the start of the streams.

        Returns:
            The levels ``(N*T, out_channels, H_i, W_i)`` and the past of the next clip.

        Raises:
            ValueError: the past does not fit.
        """
        with Tape(len(self.sites), (feats[0].shape[0] // num_frames, num_frames), past) as tape:
            levels = self(feats)
        return tuple(levels), tape.present(self.site_names)

    def levels_read(self) -> Sequence[int]:
        """Return the levels of the features that the sites read as the backbone gave them, none if they do not."""
        if not self.reads_inputs or self.shift_at != 'lateral':
            return ()
        return [getattr(self, 'start_level', 0) + level for level in self.sites]

    def signature(self) -> tuple:
        """Return what gives a past its meaning besides the weights."""
        return self.shift_div, self.sites, self.shift_at


def temporal_neck(neck: type, lateral: str, inner: str | None = None, reads_inputs: bool = False) -> type:
    """Make and register ``TSM`` + the name of a neck class, with sites in front of convolutions.

    Args:
        neck: a class whose ``forward`` takes a list of maps and runs each named module once.
        lateral: regular expression of the names of its first convolutions; the group is the number of the level, named
            ``branch`` unless the output of one of them passes through another.
        inner: likewise of its output convolutions; None if it has none.
        reads_inputs: whether the first convolutions read the backbone's features as they are, from ``start_level`` on.
    """
    return temporal_class(TemporalNeck, neck, lateral_pattern=lateral, inner_pattern=inner, reads_inputs=reads_inputs)


def _levels(neck: nn.Module, pattern: str) -> list[str]:
    """Names of the modules that match, by level."""
    matches = {name: int(match[1]) for name, _ in neck.named_modules() if (match := re.fullmatch(pattern, name))}
    if not matches:
        raise InputError(f'no module of {type(neck).__name__} matches {pattern!r}: its modules are '
                         f'{", ".join(name for name, _ in neck.named_children())}')
    return sorted(matches, key=matches.__getitem__)


_FPN = r'lateral_convs\.(?P<branch>\d+)', r'fpn_convs\.(?P<branch>\d+)'
TSMFPN = temporal_neck(necks.FPN, *_FPN, reads_inputs=True)
TSMPAFPN = temporal_neck(necks.PAFPN, *_FPN, reads_inputs=True)
TSMCSPNeXtPAFPN = temporal_neck(necks.CSPNeXtPAFPN, r'reduce_layers\.(\d+)', r'out_convs\.(?P<branch>\d+)')
TSMYOLOXPAFPN = temporal_neck(necks.YOLOXPAFPN, r'reduce_layers\.(\d+)', r'out_convs\.(?P<branch>\d+)')
TSMChannelMapper = temporal_neck(necks.ChannelMapper, r'convs\.(?P<branch>\d+)', reads_inputs=True)
