"""Sites of a neck that read a map which a site of the backbone reads too: they share its past."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tsm_det.errors import InputError
from tsm_det.models.backbones import TemporalBackbone
from tsm_det.models.necks import TemporalNeck
from tsm_det.shift import ShiftState


class SharedPasts:
    """Leaves the pasts that a neck shares with the backbone out of a state, and finds them there again.

    Args:
        backbone: the temporal one.
        neck: the first neck behind it; None without one.
    """

    def __init__(self, backbone: nn.Module, neck: nn.Module | None) -> None:
        self._num_sites = len(getattr(neck, 'sites', ()))
        self._shared: dict[int, int] = {}  # places of sites of the backbone, by those of the neck
        if (isinstance(backbone, TemporalBackbone) and isinstance(neck, TemporalNeck) and backbone.operator == 'shift'
                and (backbone.shift_div, backbone.direction) == (neck.shift_div, neck.direction)):
            levels = enumerate(neck.levels_read())
            sites = {place: backbone.site_of(level) for place, level in levels}
            self._shared = {place: site for place, site in sites.items() if site is not None}

    def of_neck(self, past: ShiftState) -> Sequence[Tensor]:
        """The pasts of all sites of the neck; those of a state that holds them all, as they are.

        Raises InputError when the state has another number of them.
        """
        if not (past.backbone or past.neck) or len(past.neck) == self._num_sites:
            return past.neck
        if len(past.neck) != self._num_sites - len(self._shared):
            raise InputError(f'past has {len(past.neck)} tensors for the neck but must have '
                             f'{self._num_sites - len(self._shared)}: pass the state that this detector returned, or '
                             'None to start the streams over')
        own = iter(past.neck)
        return [past.backbone[self._shared[place]] if place in self._shared else next(own)
                for place in range(self._num_sites)]

    def own(self, presents: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The presents of the neck's sites that the backbone does not hold."""
        return tuple(present for place, present in enumerate(presents) if place not in self._shared)
