"""A fleet run: the recordings that are left, or cameras, on Ray; progress and a manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from itertools import islice
from types import ModuleType

from mmengine.logging import print_log
from tqdm import tqdm

from tsm_det.errors import InputError
from tsm_det.files import check_folder
from tsm_det.fleet.manifest import Manifest
from tsm_det.fleet.recordings import Job, clean_up, find_recordings
from tsm_det.locks import locked
from tsm_det.streams.detect_sources import check_options
from tsm_det.video.remote_files import is_remote
from tsm_det.video.sources import open_source


def run_fleet(job: Job, places: Sequence[str], address: str | None = None, shard: tuple[int, int] = (1, 1),
              actors: int | None = None, gpus_per_actor: float = 0) -> str:
    """Detect in all recordings that no earlier run into the same folder finished.

    Args:
        job: what to do.
        places: see :func:`~tsm_det.fleet.recordings.find_recordings`.
        address: of a Ray cluster; None starts one on this machine, for this run.
        shard: (i, n): every n-th recording, from the i-th on.
        actors, gpus_per_actor: see :func:`~tsm_det.fleet.actors.detect_recordings_on_ray`.

    Returns:
        What was done.

    Raises:
        InputError: Ray is missing, the detector cannot be loaded, a place has no video, or there is no cluster; or,
            after all others are done, a recording cannot be read to its end, which its row of the manifest says.
    """
    job, on_ray = job.anywhere(), _on_ray(job, actors, gpus_per_actor)
    recordings = _shard(find_recordings(places), shard)
    check_folder(job.out)
    manifest = Manifest(job.out, shard)
    for name, video in recordings.items():
        if manifest.done.get(name, {'video': video})['video'] != video:
            raise InputError(f'{job.out} has the results of {manifest.done[name]["video"]} as {name}, which is now '
                             f'{video}: name another --out')
    done = {row['video'] for row in manifest.done.values()}
    left = {name: video for name, video in recordings.items() if video not in done}
    failed: list[str] = []
    if left:
        _check_detector(job)
        frames = _frames(left)
        with locked(manifest.path), on_ray.connected(address), tqdm(
                total=sum(frames.values()), unit='frame', mininterval=1) as bar:
            manifest.start()
            for row in on_ray.detect_recordings_on_ray(job, left, frames, bar, actors, gpus_per_actor):
                manifest.add(row)
                if row['status'] == 'done':
                    clean_up(job, row['name'])
                else:
                    failed.append(row['name'])
                bar.set_postfix(recordings=len(left), failed=len(failed))
    if failed:
        raise InputError(f'{len(failed)} of {len(recordings)} recordings failed, such as {failed[0]}; the others are '
                         f'done: {manifest.path} says why, and another run tries them again')
    return f'{len(recordings)} recordings, {len(recordings) - len(left)} of them done before: {manifest.path}'


def run_cameras(job: Job, places: Sequence[str], address: str | None = None, shard: tuple[int, int] = (1, 1),
                actors: int | None = None, gpus_per_actor: float = 0) -> str:
    """Detect in the cameras of a file, which is the only place; arguments as of :func:`run_fleet`.

    Runs until it is interrupted, or all cameras were recordings and have ended, and continues an earlier run.
    """
    job, on_ray = job.anywhere(), _on_ray(job, actors, gpus_per_actor)
    if len(places) > 1 or job.formats:
        raise InputError(f'--live takes {places[-1]} alone, without recordings and --write: leave them out')
    from tsm_det.fleet.camera_groups import read_cameras
    cameras = _shard(read_cameras(places[0]), shard)
    check_folder(job.out)
    _check_detector(job)
    with on_ray.connected(address):
        print_log(f'{len(cameras)} cameras into {job.out}; Ctrl-C ends', 'current')
        frames = on_ray.watch_cameras_on_ray(job, cameras, address is None, actors, gpus_per_actor)
    return f'{frames} frames of {len(cameras)} cameras: {job.out}'


def _on_ray(job: Job, actors: int | None, gpus_per_actor: float) -> ModuleType:
    if not isinstance(job.stride, int):
        raise InputError(f'--stride has {len(job.stride)} numbers but one holds for all sources: give one')
    return ray_module(actors, gpus_per_actor)


def ray_module(actors: int | None, gpus_per_actor: float) -> ModuleType:
    """The module that needs Ray. Raises InputError when it is missing, or a number is too small."""
    for flag, number, least in (('--actors', actors, 1), ('--gpus-per-actor', gpus_per_actor, 0)):
        if number is not None and not number >= least:
            raise InputError(f'{flag} is {number} but must be at least {least}')
    try:
        return import_module('tsm_det.fleet.actors')
    except ImportError as error:
        raise InputError(f"Ray is needed but missing ({error}): pip install 'tsm_det[ray]'") from error


def _check_detector(job: Job) -> None:
    """Raise InputError about a wrong detector or option once, not once per actor."""
    detector = job._replace(device='cpu', engine='eager').detector()
    check_options(detector, [job.stride], job.save_every, job.score_thr, job.fill)


def _shard(names: Mapping[str, str], shard: tuple[int, int]) -> dict[str, str]:
    return dict(islice(names.items(), shard[0] - 1, None, shard[1]))


def _frames(recordings: Mapping[str, str]) -> dict[str, int]:
    """The number of frames of each recording, as its header states it; 0 if unknown, as at an address."""
    frames = dict.fromkeys(recordings, 0)
    for name, video in recordings.items():
        with suppress(InputError):  # its actor will say so
            frames[name] = 0 if is_remote(video) else open_source(video).num_frames or 0
    return frames
