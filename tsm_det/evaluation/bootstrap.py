"""Paired bootstrap of AP differences over groups of videos and training seeds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Difference(NamedTuple):
    """Mean over seeds of arm minus baseline, and its 95 % interval; NaN where no draw has a box."""

    mean: float
    low: float
    high: float


def drawn_groups(num_groups: int, draws: int, seed: int = 0) -> np.ndarray:
    """How often each draw has each group of videos: ``(1 + draws, G)``; the first row is the data set itself."""
    rng = np.random.default_rng([seed, num_groups])
    drawn = rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), size=draws)
    return np.concatenate([np.ones((1, num_groups)), drawn])


def paired_difference(arm: np.ndarray, baseline: np.ndarray, seed: int = 0) -> Difference:
    """Bootstrap over groups of videos and, within each draw, over seeds; both arms share the draws.

    Args:
        arm: ``(S, 1 + B)``, the score of each training seed, on the data set itself and on each draw of groups.
        baseline: likewise, the same seeds in the same order and the same draws.
        seed: of the draws of training seeds.
    """
    differences = arm - baseline
    num_seeds, draws = len(differences), differences.shape[1] - 1
    rng = np.random.default_rng([seed, num_seeds])
    shares = rng.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), size=draws) / num_seeds
    drawn = np.einsum('bs,sb->b', shares, differences[:, 1:])
    drawn = drawn[~np.isnan(drawn)]  # draws without a box
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (np.nan, np.nan)
    return Difference(float(differences[:, 0].mean()), float(low), float(high))
