"""What a comparison came to, on one screen."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def demo_summary(folder: str | Path) -> str:
    """Accuracy of both arms, their latency and where the files are, from what the demo wrote.

    Args:
        folder: with ``2d/metrics.json``, ``tsm/metrics.json`` and ``latency.json``.
    """
    folder = Path(folder)
    metrics = {arm: json.loads((folder / arm / 'metrics.json').read_text()) for arm in ('2d', 'tsm')}
    latency = json.loads((folder / 'latency.json').read_text())
    p50_ms = {arm['name']: arm['p50_ms'] for arm in latency['arms']}
    columns = ('coco/AP50', 'coco/AP50_clean', 'coco/AP50_degraded')
    rows = [f'{"":6}{"AP50":>8}{"clean":>8}{"degraded":>10}{"ms/frame":>10}']
    for arm, scores in metrics.items():
        ap50, clean, degraded = (scores[column] for column in columns)
        rows.append(f'{arm:6}{ap50:8.3f}{clean:8.3f}{degraded:10.3f}{p50_ms[arm]:10.1f}')
    ratio, tsm = latency['ratio'], metrics['tsm']
    return '\n'.join([
        '',
        f'Synthetic video, {tsm["frames_scored"]} of {tsm["frames_total"]} held-out frames, streamed one by one:',
        '',
        *rows, '',
        f'latency tsm / 2d: {ratio["median"]:.3f} (95 % interval {ratio["low"]:.3f} to {ratio["high"]:.3f}) on '
        f'{latency["machine"]["processor"]}, {latency["machine"]["threads"]} threads', '',
        f'video with detections   {folder / "detections.mp4"}',
        f'the same as JSON lines  {folder / "detections.jsonl"}',
        f'weights                 {(folder / "tsm" / "last_checkpoint").read_text().strip()}',
        f'all metrics             {folder / "tsm" / "metrics.json"}, {folder / "2d" / "metrics.json"}',
        f'all latencies           {folder / "latency.json"}',
        'One training run an arm is a demonstration: differences between seeds may be as large as between arms.'])


if __name__ == '__main__':
    sys.stdout.write(demo_summary(sys.argv[1]) + '\n')
