"""A fleet run: the recordings that are left, on Ray, with progress and a manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice

from tqdm import tqdm

from tsm_det.errors import InputError
from tsm_det.files import check_folder
from tsm_det.fleet.manifest import Manifest
from tsm_det.fleet.recordings import Job, clean_up, find_recordings
from tsm_det.locks import locked
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
    if not isinstance(job.stride, int):
        raise InputError(f'--stride has {len(job.stride)} numbers but one holds for all recordings: give one')
    for flag, number, least in (('--actors', actors, 1), ('--gpus-per-actor', gpus_per_actor, 0),
                                ('--save-every', job.save_every, 1), ('--stride', job.stride, 1)):
        if number is not None and not number >= least:
            raise InputError(f'{flag} is {number} but must be at least {least}')
    try:
        from tsm_det.fleet.actors import connected, detect_recordings_on_ray
    except ImportError as error:
        raise InputError(f"detect_videos.py needs Ray ({error}): pip install 'tsm_det[ray]'") from error
    recordings = dict(islice(find_recordings(places).items(), shard[0] - 1, None, shard[1]))
    check_folder(job.out)
    manifest = Manifest(job.out, shard)
    for name, video in recordings.items():
        if manifest.done.get(name, {'video': video})['video'] != video:
            raise InputError(f'{job.out} has the results of {manifest.done[name]["video"]} as {name}, which is now '
                             f'{video}: name another --out')
    done = {row['video'] for row in manifest.done.values()}
    left = {name: video for name, video in recordings.items() if video not in done}
    failed: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(locked(manifest.path))
        manifest.start()
        if left:
            job.detector(device='cpu', engine='eager')  # one sentence about a wrong one, not one per actor
            stack.enter_context(connected(address))
            frames = _frames(left)
            bar = stack.enter_context(tqdm(total=sum(frames.values()), unit='frame', mininterval=1))
            for row in _with_the_lost(left, detect_recordings_on_ray(job, left, actors, gpus_per_actor)):
                manifest.add(row)
                if row['status'] == 'done':
                    clean_up(job, row['name'])
                else:
                    failed.append(row['name'])
                bar.update(frames[row['name']])
                bar.set_postfix(recordings=len(left), failed=len(failed))
    if failed:
        raise InputError(f'{len(failed)} of {len(recordings)} recordings failed, such as {failed[0]}; the others are '
                         f'done: {manifest.path} says why, and another run tries them again')
    return f'{len(recordings)} recordings, {len(recordings) - len(left)} of them done before: {manifest.path}'


def _with_the_lost(recordings: Mapping[str, str], rows: Iterable[dict]) -> Iterator[dict]:
    """Yield the rows, and at the end those of recordings that have none."""
    lost = dict(recordings)
    for row in rows:
        if lost.pop(row['name'], None):  # a retried one may come twice
            yield row
    for name, video in lost.items():
        yield {'name': name, 'video': video, 'status': 'failed', 'error': "its detector failed: Ray's log says how"}


def _frames(recordings: Mapping[str, str]) -> dict[str, int]:
    """The number of frames of each recording, as its header states it; 0 if unknown, as at an address."""
    frames = {}
    for name, video in recordings.items():
        try:
            frames[name] = 0 if '://' in video else open_source(video).num_frames or 0
        except InputError:  # its actor will say so
            frames[name] = 0
    return frames
