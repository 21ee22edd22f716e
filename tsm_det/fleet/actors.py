"""Recordings on the actors of Ray Data, and cameras as tasks of Ray, each with a detector."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread

# Read when Ray is imported: no usage statistics, and no messages about its own work.
os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
os.environ.setdefault('RAY_BACKEND_LOG_LEVEL', 'fatal')

import ray
from ray.data import ActorPoolStrategy, DataContext
from tqdm import tqdm

from tsm_det.errors import InputError
from tsm_det.fleet.camera_groups import watch_cameras
from tsm_det.fleet.recordings import Job, detect_recording

# Frames of a recording from one report of its progress to the next.
_REPORT_EVERY = 25


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class FrameCounts:
    """How many frames of each recording are done."""

    def __init__(self) -> None:
        self._frames: dict[str, int] = {}

    def put(self, name: str, frames: int) -> None:
        self._frames[name] = frames

    def total(self) -> int:
        return sum(self._frames.values())


class RecordingActor:
    """Detects in one recording after another."""

    def __init__(self, job: Job, counts: ray.actor.ActorHandle) -> None:
        self._job, self._counts, self._detector = job, counts, job.detector()

    def __call__(self, row: dict) -> dict:
        put, name = self._counts.put, row['name']
        result = detect_recording(self._detector, self._job, name, row['video'], lambda frame, _: (
            frame.frame_id % _REPORT_EVERY or put.remote(name, frame.frame_id)))
        put.remote(name, row['frames'])
        return {'row': result}


@contextmanager
def connected(address: str | None = None) -> Iterator[None]:
    """Context manager: a Ray cluster, or one that lives as long as the block, on this machine.

    Raises InputError when there is no cluster at the address.
    """
    own = {} if address else {'include_dashboard': False, '_node_ip_address': '127.0.0.1'}
    if address == 'auto':
        address = os.environ.get('RAY_ADDRESS', address)
    try:
        host, _, port = (address or '').rpartition('/')[2].rpartition(':')
        if host:  # Ray would try for minutes, and end the process
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address or 'local', log_to_driver=False, logging_level='error', **own)
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f'there is no Ray cluster at {address} ({error}): start one by ray start --head, set '
                         'RAY_AUTH_MODE=token if it asks for a token, or leave --ray out') from error
    try:
        yield
    finally:
        ray.shutdown()


def detect_recordings_on_ray(job: Job, recordings: Mapping[str, str], frames: Mapping[str, int], bar: tqdm,
                             actors: int | None = None, gpus_per_actor: float = 0) -> Iterator[dict]:
    """Yield the manifest's row of each recording as it ends.

    Ray starts an actor again whose process or machine died, and gives its recording to it or to another one, where it
    continues from its state file; so the output folder must be one for all machines.

    Args:
        job: what to do.
        recordings: paths or addresses by name.
        frames: number of frames by name.
        bar: moves with the frames.
        actors: number of detectors; None for one per CPU of the cluster, or per ``gpus_per_actor`` GPUs.
        gpus_per_actor: GPUs that Ray gives to each, may be a fraction.
    """
    counts = FrameCounts.remote()
    rows = [{'name': name, 'video': video, 'frames': frames[name]} for name, video in recordings.items()]
    with _following(bar, counts):
        yield from (row['row'] for row in rows_of_actors(rows, RecordingActor, (job, counts), actors, gpus_per_actor))
    bar.update(ray.get(counts.total.remote()) - bar.n)


def rows_of_actors(rows: list[dict], actor: type, arguments: tuple, actors: int | None,
                   gpus_per_actor: float) -> Iterator[dict]:
    """Yield what actors of Ray Data make of rows, one call per row, as they end.

    Args:
        rows: at least one.
        actor: a class whose instances take a row and return one.
        arguments: of the class.
        actors, gpus_per_actor: see :func:`detect_recordings_on_ray`.
    """
    logging.getLogger('ray.data').setLevel(logging.ERROR)
    context = DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    number = max(1, min(actors or _num_fitting(gpus_per_actor), len(rows)))
    yield from ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        actor, fn_constructor_args=arguments, num_cpus=1, num_gpus=gpus_per_actor or None,
        compute=ActorPoolStrategy(size=number, max_tasks_in_flight_per_actor=1)).iter_rows()


@contextmanager
def _following(bar: tqdm, counts: ray.actor.ActorHandle) -> Iterator[None]:
    """Context manager: the bar moves with the counts."""
    has_left = Event()

    def follow() -> None:
        while not has_left.wait(0.5):
            for total in ray.wait([counts.total.remote()], timeout=5)[0]:
                bar.update(ray.get(total) - bar.n)

    thread = Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        has_left.set()
        thread.join()


def watch_cameras_on_ray(job: Job, cameras: Mapping[str, str], is_local: bool, actors: int | None = None,
                         gpus_per_actor: float = 0) -> int:
    """Detect in groups of cameras, each in one task, until all end; returns the number of frames.

    Ray starts a task again, here or elsewhere, whose process or machine died. It is a task because Ray can interrupt
    it, as Ctrl-C would, but not a method of an actor.

    Args as of :func:`detect_recordings_on_ray`; ``is_local`` shows metrics to this machine only.

    Raises InputError when a camera does not answer at first, or there is no room for as many detectors.
    """
    fitting = _num_fitting(gpus_per_actor)
    if (actors or 1) > fitting:
        raise InputError(f'{actors or 1} detectors are wanted but the cluster has room for {fitting}: change --actors '
                         'or --gpus-per-actor, or add machines')
    names, number = list(cameras), min(actors or fitting, len(cameras))

    @ray.remote(num_cpus=1, num_gpus=gpus_per_actor, max_retries=-1, scheduling_strategy='SPREAD')
    def watch(group: Mapping[str, str]) -> int:
        return watch_cameras(job, group, '127.0.0.1' if is_local else ray.util.get_node_ip_address())

    running = [watch.remote({name: cameras[name] for name in names[k::number]}) for k in range(number)]
    try:
        return sum(ray.get(running))
    finally:
        for task in running:
            ray.cancel(task)
        ray.wait(running, num_returns=number, timeout=60)


def _num_fitting(gpus_per_actor: float) -> int:
    resources = ray.cluster_resources()
    return int(resources.get('GPU', 0) // gpus_per_actor if gpus_per_actor else resources['CPU'])
