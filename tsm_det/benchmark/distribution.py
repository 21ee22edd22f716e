"""What times come to: percentiles, and ratios with their uncertainty."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BOOTSTRAPS = 2000


def percentiles(times_ms: Sequence[float], frames_a_call: int = 1) -> dict[str, float]:
    """``p50_ms``, ``p95_ms`` and ``p99_ms`` of calls, and ``fps``, the frames of all calls over their time."""
    p50, p95, p99 = np.percentile(times_ms, [50, 95, 99]).tolist()
    return {'p50_ms': p50, 'p95_ms': p95, 'p99_ms': p99, 'fps': frames_a_call * 1e3 / float(np.mean(times_ms))}


def ratio_of_medians(times: Sequence[float], baseline: Sequence[float]) -> dict[str, float]:
    """Ratio of medians with a bootstrap 95 % interval; calls are drawn in pairs, as they were timed."""
    pairs = np.array([times, baseline])
    draws = np.random.default_rng(0).integers(0, pairs.shape[1], (_BOOTSTRAPS, pairs.shape[1]))
    medians = np.median(pairs[:, draws], axis=2)
    low, high = np.percentile(medians[0] / medians[1], [2.5, 97.5])
    median = np.median(pairs[0]) / np.median(pairs[1])
    return {'median': float(median), 'low': float(low), 'high': float(high)}
