"""CocoVID files too large for memory: made of parts by several processes, and joined."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple

from tsm_det.errors import InputError
from tsm_det.files import write_json


class Joined(NamedTuple):
    """What a joined file holds: numbers of videos, images, annotations, instances, ..., and all problems."""

    counts: Counter[str]
    problems: list[list[str]]


def make_parts(plan: list, convert: Callable[[object], dict], source: Path, out: Path, workers: int | None,
               progress: Callable[..., Iterable]) -> list[Path]:
    """Convert each item of the plan into a part, a file beside ``out``, in several processes.

    A part has ``videos``, ``images``, ``annotations``, numbered within it from 1, ``problems``, and ``counts`` of
    what else is to be counted. Parts of an interrupted run of the same plan and source are taken as they are, but for
    those with problems: what was wrong may have been mended. Those of other runs are removed.

    Args:
        plan: what to convert, in order; items must print as what they are, and pickle.
        convert: makes the content of a part; it runs in other processes.
        source: where the data lies.
        out: the file that the parts will be joined into.
        workers: how many processes; None is one a core.
        progress: wraps the finished parts and takes their ``total``, e.g. ``tqdm``.

    Raises:
        InputError: the parts cannot be written, there is no worker, or one was killed.
    """
    if workers is not None and workers < 1:
        raise InputError(f'--workers is {workers} but at least one process is needed: leave it out or raise it')
    digest = sha256(repr((source.resolve(), plan)).encode()).hexdigest()[:12]
    folder = out.parent / f'{out.stem}.parts-{digest}'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for other in set(out.parent.glob(f'{out.stem}.parts-*')) - {folder}:
            shutil.rmtree(other)
    except OSError as error:
        raise InputError(f'{folder} cannot be made ({error.strerror}): name an --out that you may write to') from error
    paths = [folder / f'{number:06d}.json' for number in range(len(plan))]
    # Ctrl-C reaches all processes; the first one alone shall answer it.
    pool = ProcessPoolExecutor(workers, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        made = pool.map(partial(_make_part, convert), plan, paths)
        for _ in progress(made, total=len(plan)):
            pass
    except BrokenProcessPool as error:
        raise InputError('a worker process was killed, perhaps for want of memory: run the same command again to go '
                         'on, with fewer --workers') from error
    finally:
        pool.shutdown(cancel_futures=True)
    return paths


def join_parts(parts: list[Path], categories: list[dict], out: Path) -> Joined:
    """Join parts into one CocoVID file, ids counted on from part to part, in the memory that one part takes.

    The parts are removed.

    Raises:
        InputError: the file cannot be written; the parts stay for the next run.
    """
    counts, problems = Counter(), []
    try:
        with TemporaryDirectory(prefix=f'.{out.name}.', dir=out.parent) as workshop:
            with _lists(Path(workshop, 'whole'), categories) as lists:
                for path in parts:
                    part = json.loads(path.read_bytes())
                    problems += part['problems']
                    _append(part, counts, lists)
                    counts.update(part['counts'])
            os.replace(Path(workshop, 'whole'), out)
    except OSError as error:
        raise InputError(f'{out} cannot be written ({error}): make room, or name another --out') from error
    shutil.rmtree(parts[0].parent)
    return Joined(counts, problems)


def _make_part(convert: Callable[[object], dict], item: object, path: Path) -> None:
    if path.is_file() and not json.loads(path.read_bytes())['problems']:
        return
    write_json(convert(item), path)


@contextmanager
def _lists(path: Path, categories: list[dict]) -> Iterator[dict[str, IO[str]]]:
    """Open files for the items of the three lists of a CocoVID file; at the end they become one."""
    with ExitStack() as opened:
        lists = {name: opened.enter_context(Path(path.parent, name).open('w+'))
                 for name in ('videos', 'images', 'annotations')}
        yield lists
        whole = opened.enter_context(path.open('w'))
        whole.write(f'{{"categories": {json.dumps(categories)}')
        for name, items in lists.items():
            items.seek(0)
            whole.write(f', "{name}": [')
            shutil.copyfileobj(items, whole, 1 << 20)
            whole.write(']')
        whole.write('}\n')


_REFERENCES = {'id': None, 'video_id': 'videos', 'image_id': 'images', 'instance_id': 'instances'}


def _append(part: dict, counts: Counter[str], lists: dict[str, IO[str]]) -> None:
    """Write the items of a part with their ids raised by how many came before."""
    instances = max((item['instance_id'] for item in part['annotations']), default=0)
    for name, items in lists.items():
        for item in part[name]:
            for key, referred in _REFERENCES.items():
                if key in item:
                    item[key] += counts[referred or name]
        if part[name]:
            items.write((', ' if items.tell() else '') + json.dumps(part[name])[1:-1])
    counts.update(instances=instances, **{name: len(part[name]) for name in lists})
