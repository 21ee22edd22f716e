"""Keep training from learning that ignored regions are background."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

# Of the area of an anchor or a proposal, in one region.
_SHARE = 0.5


def respect_ignored_regions(model: nn.Module) -> list[str]:
    """Let assigners skip what lies half or more in an ignored region; mmdet's configs leave that off.

    Returns the names of the modules that cannot: for them a region is background, as their assigners take none.
    """
    unable = []
    for name, assigner in _assigners(model):
        if not hasattr(assigner, 'ignore_iof_thr'):
            unable.append(f'{name} ({type(assigner).__name__})')
        elif assigner.ignore_iof_thr < 0:
            assigner.ignore_iof_thr = _SHARE
    return unable


def _assigners(model: nn.Module) -> Iterator[tuple[str, object]]:
    """The assigner of each dense head and each stage of the box heads; of a head without one, the head."""
    for name, module in model.named_modules():
        found = getattr(module, 'bbox_assigner', None) or getattr(module, 'assigner', None)
        if found is None and name.rpartition('.')[2] == 'bbox_head' and hasattr(module, 'loss_by_feat'):
            found = module
        yield from ((name, assigner) for assigner in (found if isinstance(found, list) else [found])
                    if assigner is not None)
