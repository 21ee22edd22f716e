"""Recordings on the actors of Ray Data: each actor holds a detector, and a row is a recording."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# Read when Ray is imported: no usage statistics, and no messages about its own work.
os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
os.environ.setdefault('RAY_BACKEND_LOG_LEVEL', 'fatal')

import ray
from ray.data import ActorPoolStrategy, DataContext

from tsm_det.errors import InputError
from tsm_det.fleet.recordings import Job, detect_recording


class RecordingActor:
    """Detects in one recording after another."""

    def __init__(self, job: Job) -> None:
        self._job, self._detector = job, job.detector()

    def __call__(self, row: dict) -> dict:
        return {'row': detect_recording(self._detector, self._job, row['name'], row['video'])}


@contextmanager
def connected(address: str | None = None) -> Iterator[None]:
    """Context manager: a Ray cluster, or one that lives as long as the block, on this machine.

    Raises InputError when there is no cluster at the address.
    """
    own = {} if address else {'include_dashboard': False, '_node_ip_address': '127.0.0.1'}
    try:
        host, _, port = (address or '').rpartition('/')[2].rpartition(':')
        if host:  # Ray would try for minutes, and end the process
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address or 'local', log_to_driver=False, logging_level='error', **own)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f'there is no Ray cluster at {address} ({error}): start one by ray start --head, or leave '
                         '--ray out') from error
    try:
        yield
    finally:
        ray.shutdown()


def detect_recordings_on_ray(job: Job, recordings: Mapping[str, str], actors: int | None = None,
                             gpus_per_actor: float = 0) -> Iterator[dict]:
    """Yield the manifest's row of each recording as it ends; none of one in which a detector failed unexpectedly.

    Ray starts an actor again whose process or machine died, and gives its recording to it or to another one, where it
    continues from its state file; so the output folder must be one for all machines.

    Args:
        job: what to do.
        recordings: paths or addresses by name.
        actors: number of detectors; None for one per CPU of the cluster, or per ``gpus_per_actor`` GPUs.
        gpus_per_actor: GPUs that Ray gives to each, may be a fraction.
    """
    logging.getLogger('ray.data').setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.max_errored_blocks = -1  # one recording must not end the others
    resources = ray.cluster_resources()
    fitting = resources.get('GPU', 0) // gpus_per_actor if gpus_per_actor else resources['CPU']
    rows = ray.data.from_items([{'name': name, 'video': video} for name, video in recordings.items()],
                               override_num_blocks=len(recordings))
    detected = rows.map(
        RecordingActor, fn_constructor_args=(job,), num_cpus=1, num_gpus=gpus_per_actor or None,
        compute=ActorPoolStrategy(size=max(1, min(actors or int(fitting), len(recordings))),
                                  max_tasks_in_flight_per_actor=1))
    for row in detected.iter_rows():
        yield row['row']
