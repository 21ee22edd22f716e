"""The cameras of a fleet run: the file that names them, and a group of them watched by one detector."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from tsm_det.errors import InputError
from tsm_det.fleet.recordings import Job
from tsm_det.streams.detect_sources import detect_sources
from tsm_det.streams.metrics import StreamMetrics, served
from tsm_det.video.cameras import LiveSource
from tsm_det.video.connection import is_live_address
from tsm_det.video.sources import Source, open_source


def read_cameras(path: str) -> dict[str, str]:
    """Read a YAML file of camera names and their addresses: what ``open_source`` takes.

    Raises InputError when it is no such mapping, names two cameras alike, or a name is not fit for a file.
    """
    try:
        root = yaml.compose(Path(path).read_text('utf-8'))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f'{path} cannot be read ({" ".join(str(error).split())}): write a line NAME: ADDRESS for each '
                         'camera') from error
    # As text: 0 is a webcam, and so might be the name yes.
    rows = [(name.value, address.value) for name, address in root.value] if isinstance(root, yaml.MappingNode) else []
    if not rows:
        raise InputError(f'{path} has no camera: write a line NAME: ADDRESS for each')
    for name, address in rows:
        if not (isinstance(name, str) and re.fullmatch(r'[\w-]+', name)):
            raise InputError(f'{path} has a camera {name!r}, but its results lie in NAME.jsonl: use letters, digits, - '
                             'and _')
        if [other for other, _ in rows].count(name) > 1:
            raise InputError(f'{path} has two cameras {name}: give each a name of its own')
        if not (isinstance(address, str) and address):
            raise InputError(f'{path} has no address for the camera {name}: write {name}: ADDRESS')
    return {name: address if is_live_address(address) or '://' in address else os.path.abspath(
        os.path.expanduser(address)) for name, address in rows}


def watch_cameras(job: Job, cameras: Mapping[str, str], host: str) -> int:
    """Detect in cameras, from where an earlier attempt stopped, and write ``OUT/NAME.jsonl`` of each.

    A camera that does not answer or falls silent is waited for, but not when there is no state of it yet. Metrics are
    at a port of ``host``, which a file in ``OUT/prometheus`` names.

    Returns the number of frames, once all cameras, which must be recordings then, have ended.

    Raises InputError when a new camera does not answer, or a recording cannot be read.
    """
    folder, detector = os.path.join(job.out, ''), job.detector(capacity=len(cameras))
    sources = [_opened(name, address, os.path.exists(f'{folder}{name}.state')) for name, address in cameras.items()]
    metrics = StreamMetrics(sources)
    with served(metrics, host, f'{folder}prometheus/{min(cameras)}.yml'):
        return detect_sources(
            detector, sources, json_lines=folder, score_thr=job.score_thr, stride=job.stride, resume_state=folder,
            save_every=job.save_every, most_open=len(cameras), fill=job.fill, on_frame=metrics)


def _opened(name: str, address: str, is_known: bool) -> Source:
    try:
        if not is_live_address(address):
            return replace(open_source(address), name=name)
        source = LiveSource(address, stall_limit_s=math.inf, must_answer=not is_known)
    except InputError as error:
        raise InputError(f'camera {name}: {error}') from error
    source.name = name
    return source
