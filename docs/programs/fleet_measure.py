"""Measure what docs/fleet_estimate.md computes with, and write it as JSON; times are CPU times.

    PYTHONPATH=. python docs/programs/fleet_measure.py docs/results/fleet/measured.json
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import torch

from tsm_det import OnlineDetector, config_path
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.files import write_json
from tsm_det.published import published
from tsm_det.streams.detect_sources import detect_sources, open_sources
from tsm_det.streams.state_file import write_state
from tsm_det.video.sources import open_source


def cpu_ms(call: Callable[[], object], times: int = 9) -> float:
    """Least CPU time of a call, over all threads: what other programs on the machine disturb least."""
    spent = []
    for _ in range(times):
        begin = time.process_time()
        call()
        spent.append(1e3 * (time.process_time() - begin))
    return round(min(spent), 3)


def decoding(folder: Path, width: int, height: int, megabits: float) -> dict:
    """Decode H.264 of 10 frames per second: a noisy picture that moves, as a camera encodes it without B-frames."""
    path, frames = folder / f'{height}.mp4', 60
    picture = np.random.default_rng(0).normal(128, 40, (height // 40 + 8, width // 40 + 8))
    ys, xs = np.mgrid[:height, :width] / 40
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=10, options={
            'preset': 'superfast', 'tune': 'zerolatency', 'b': f'{megabits}M', 'g': '20'})
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        for k in range(frames):
            image = picture[ys.astype(int) + k % 4, (xs + k / 8).astype(int)]
            image += np.random.default_rng(k).normal(0, 4, image.shape)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(
                np.repeat(image.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2), format='bgr24')))
        container.mux(stream.encode())
    ms = cpu_ms(lambda: [None for _ in open_source(path).frames()]) / frames
    return {'px': f'{width}x{height}', 'bytes_per_frame': path.stat().st_size // frames, 'ms_per_frame': round(ms, 2)}


def saving(folder: Path, name: str, engine: str, height: int, width: int, checkpoint: str | None = None) -> dict:
    """Write the state of one stream."""
    detector = OnlineDetector.from_config(config_path(name), checkpoint, engine=engine)
    detector(np.zeros((height, width, 3), np.uint8))
    path, signature = folder / 'one.state', detector.signature()
    return {'config': name, 'engine': engine, 'px': f'{width}x{height}', 'state_bytes': detector.bank.state_bytes(),
            'save_ms': cpu_ms(lambda: write_state(path, signature, detector.bank.held())),
            'file_bytes': path.stat().st_size}


def results(folder: Path) -> dict:
    """Detect in synthetic videos by the detector synthvid."""
    make_synthetic_vid(folder / 'synthvid', train_videos=1, val_videos=2, frames_per_video=60)
    detector, lines = OnlineDetector.from_config(*published('synthvid')), []
    for video in sorted((folder / 'synthvid' / 'val').iterdir()):
        detect_sources(detector, open_sources([str(video)]), json_lines=str(folder / 'lines.jsonl'))
        lines += (folder / 'lines.jsonl').read_text().splitlines(keepends=True)
    return {'bytes_per_frame': round(statistics.mean(map(len, lines)), 1),
            'detections_per_frame': round(statistics.mean(len(json.loads(line)['detections']) for line in lines), 2)}


if __name__ == '__main__':
    torch.set_num_threads(1)
    with TemporaryDirectory() as name:
        folder, (_, checkpoint) = Path(name), published('synthvid')
        cpus = [line.partition(': ')[2] for line in Path('/proc/cpuinfo').read_text().splitlines()
                if line.startswith('model name')]
        write_json({
            'command': f'PYTHONPATH=. python {" ".join(sys.argv)}',
            'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
            'machine': f'{cpus[0]}, {os.cpu_count()} cores, torch {torch.__version__}, PyAV {av.__version__}',
            'decode': [decoding(folder, 1280, 720, 2), decoding(folder, 1920, 1080, 4)],
            'save': [saving(folder, 'tsm_faster_rcnn_r18_synthvid', 'fast-bf16', 128, 128, checkpoint),
                     saving(folder, 'tsm_faster_rcnn_r50_vid', 'fast-bf16', 600, 1000),
                     saving(folder, 'tsm_faster_rcnn_r50_vid', 'fast', 600, 1000)],
            'lines': results(folder)}, sys.argv[1], 1)
