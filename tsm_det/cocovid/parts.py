"""Build CocoVID files too large for memory: several processes make parts, which are then joined."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from tsm_det.errors import InputError
from tsm_det.files import write_atomically, write_json, writing

_REFERENCES = {'id': None, 'video_id': 'videos', 'image_id': 'images', 'instance_id': 'instances'}


class Joined(NamedTuple):
    """Contents of a joined file: numbers of videos, images, annotations, instances, ..., and all problems."""

    counts: Counter[str]
    problems: list[list[str]]


def make_parts(plan: list, convert: Callable[[object], dict], source: Path, out: Path, workers: int | None,
               progress: Callable[..., Iterable]) -> list[Path]:
    """Convert each item of the plan into a part, a file beside ``out``, in several processes.

    A part has ``videos``, ``images`` and ``annotations`` with ids from 1, ``problems``, and ``counts`` of anything
    else. Parts of an interrupted run of the same plan and source are reused unless they have problems, which may have
    been fixed since. Parts of other runs are removed.

    Args:
        plan: items to convert, in order; they must pickle, and their ``repr`` must show their value.
        convert: makes a part in another process.
        source: folder of the data.
        out: the file that the parts will be joined into.
        workers: number of processes; None is one per core.
        progress: wraps the finished parts and takes their ``total``, e.g. ``tqdm``.

    Raises InputError when the parts cannot be written, ``workers`` is below 1, or a worker was killed.
    """
    if workers is not None and workers < 1:
        raise InputError(f'--workers is {workers} but at least one process is required: omit it or raise it')
    digest = sha256(repr((source.resolve(), plan)).encode()).hexdigest()[:12]
    folder = out.parent / f'{out.stem}.parts-{digest}'
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for other in set(out.parent.glob(f'{out.stem}.parts-*')) - {folder}:
            shutil.rmtree(other)
    paths = [folder / f'{number:06d}.json' for number in range(len(plan))]
    # Ctrl-C reaches all processes, but only this one should handle it.
    pool = ProcessPoolExecutor(workers, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        for _ in progress(pool.map(partial(_make_part, convert), plan, paths), total=len(plan)):
            pass
    except BrokenProcessPool as error:
        raise InputError('a worker process was killed, perhaps because memory ran out: run the same command again to '
                         'continue, with fewer --workers') from error
    finally:
        pool.shutdown(cancel_futures=True)
    return paths


def join_parts(parts: list[Path], categories: list[dict], out: Path) -> Joined:
    """Join parts into one CocoVID file with consecutive ids, in the memory of one part, and remove the parts.

    Raises InputError when the file cannot be written; the parts remain for the next run.
    """
    counts: Counter[str] = Counter()
    problems = []
    with write_atomically(out) as temporary, ExitStack() as opened:
        lists = {name: opened.enter_context(TemporaryFile('w+', dir=temporary.parent))
                 for name in ('videos', 'images', 'annotations')}
        for path in parts:
            part = json.loads(path.read_bytes())
            problems += part['problems']
            _append(part, counts, lists)
            counts.update(part['counts'])
        with temporary.open('w') as whole:
            whole.write(f'{{"categories": {json.dumps(categories)}')
            for name, items in lists.items():
                items.seek(0)
                whole.write(f', "{name}": [')
                shutil.copyfileobj(items, whole, 1 << 20)
                whole.write(']')
            whole.write('}\n')
    shutil.rmtree(parts[0].parent)
    return Joined(counts, problems)


def _make_part(convert: Callable[[object], dict], item: object, path: Path) -> None:
    if not path.is_file() or json.loads(path.read_bytes())['problems']:
        write_json(convert(item), path)


def _append(part: dict, counts: Counter[str], lists: Mapping[str, IO[str]]) -> None:
    """Write the items of a part with their ids raised by the counts so far."""
    instances = max((item['instance_id'] for item in part['annotations']), default=0)
    for name, items in lists.items():
        for item in part[name]:
            for key, referred in _REFERENCES.items():
                if key in item:
                    item[key] += counts[referred or name]
        if part[name]:
            items.write((', ' if items.tell() else '') + json.dumps(part[name])[1:-1])
    counts.update(instances=instances, **{name: len(part[name]) for name in lists})
