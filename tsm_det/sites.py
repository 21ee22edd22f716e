"""Sites: the places of a network where a temporal operator acts. Imports only torch."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from torch import Tensor


def pasts_by_site(sites: Sequence[Hashable], past: Sequence[Tensor], part: str) -> dict[Hashable, Tensor | None]:
    """Map each site to its past, all to None at the start of a stream.

    Raises:
        ValueError: the number of pasts is neither 0 nor the number of sites.
    """
    if len(past) not in (0, len(sites)):
        raise ValueError(f'past has {len(past)} tensors but the {part} has {len(sites)} sites: '
                         'pass the present that this network returned, or () to reset the stream')
    return dict(zip(sites, past or [None] * len(sites), strict=True))
