"""How long a frame takes, beside another detector in the same run."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from tqdm import tqdm

from tsm_det.streaming.online_detector import OnlineDetector

_BOOTSTRAPS = 2000


def compare_latency(arms: dict[str, Config], checkpoint: str | None = None, size: tuple[int, int] | None = None,
                    frames: int = 50, warmup: int = 5, device: str = 'cpu') -> dict:
    """Time detectors on the same frames, interleaved frame by frame, the order alternating.

    What is timed is a user's call: image in, detections out, pipeline and state included.

    Args:
        arms: name to config; the last is the baseline of the ratio.
        checkpoint: weights for all arms (their keys are the same); None is the same random weights.
        size: (H, W) of the random source frames; None is the scale the first config resizes to, else 256x320.
        frames: timed for each arm.
        warmup: frames before that, not counted.
        device: e.g. 'cpu' or 'cuda:0'.

    Returns:
        ``machine``, ``size``, ``arms`` (ms a frame: ``p50_ms``, ``p95_ms``, ``p99_ms``; ``fps``; ``state_bytes``)
        and ``ratio`` of the medians, first arm to last, with a bootstrap 95 % interval over frames.
    """
    detectors = {}
    for name, config in arms.items():
        torch.manual_seed(0)
        detectors[name] = OnlineDetector.from_config(config, checkpoint, device)
    size = size or _source_size(next(iter(arms.values())))
    images = np.random.default_rng(0).integers(0, 256, (8, *size, 3), dtype=np.uint8)
    times_ms = {name: [] for name in arms}
    for k in tqdm(range(warmup + frames), desc='frames', mininterval=2):
        order = list(arms) if k % 2 else list(arms)[::-1]
        for name in order:
            elapsed = _timed(detectors[name], images[k % len(images)], device)
            if k >= warmup:
                times_ms[name].append(elapsed)
    first, *_, last = times_ms.values()
    return {
        'machine': machine(device), 'size': list(size), 'frames': frames,
        'arms': [{'name': name, **_summary(times), 'state_bytes': detectors[name].bank.state_bytes()}
                 for name, times in times_ms.items()],
        'ratio': ratio_of_medians(first, last)}


def ratio_of_medians(times: Sequence[float], baseline: Sequence[float]) -> dict[str, float]:
    """Ratio of medians with a bootstrap 95 % interval; frames are drawn in pairs, as they were timed."""
    pairs = np.array([times, baseline])
    draws = np.random.default_rng(0).integers(0, pairs.shape[1], (_BOOTSTRAPS, pairs.shape[1]))
    medians = np.median(pairs[:, draws], axis=2)
    low, high = np.percentile(medians[0] / medians[1], [2.5, 97.5])
    median = np.median(pairs[0]) / np.median(pairs[1])
    return {'median': float(median), 'low': float(low), 'high': float(high)}


def machine(device: str) -> dict[str, str | int]:
    """What the figures were measured on."""
    return {'processor': _processor(), 'device': torch.cuda.get_device_name(device) if 'cuda' in device else 'cpu',
            'threads': torch.get_num_threads(), 'torch': torch.__version__, 'python': platform.python_version()}


def _processor() -> str:
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')),
                platform.processor() or platform.machine())


def _timed(detector: OnlineDetector, image: np.ndarray, device: str) -> float:
    synchronize = torch.cuda.synchronize if 'cuda' in device else (lambda: None)
    synchronize()
    start = time.perf_counter()
    detector(image)
    synchronize()
    return (time.perf_counter() - start) * 1e3


def _summary(times_ms: Sequence[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(times_ms, [50, 95, 99]).tolist()
    return {'p50_ms': p50, 'p95_ms': p95, 'p99_ms': p99, 'fps': 1e3 / float(np.mean(times_ms))}


def _source_size(config: Config) -> tuple[int, int]:
    for step in config.test_dataloader.dataset.pipeline:
        for transform in step.get('transforms', ()):
            if transform['type'].endswith('Resize'):
                width, height = transform['scale']
                return height, width
    return 256, 320
