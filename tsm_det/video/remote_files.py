"""Videos on object stores and other servers that fsspec reads, such as ``s3://bucket/folder/*.mp4``."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import fsspec
from fsspec.callbacks import TqdmCallback

from tsm_det.errors import InputError
from tsm_det.video.source_names import VIDEO_SUFFIXES, lines_of


def is_remote(name: str) -> bool:
    """Whether a source is an address."""
    return '://' in name


def listed(name: str) -> list[str]:
    """The addresses of the videos in a remote folder or pattern, or of a video; a local source is itself.

    Raises InputError when there is no video or the address cannot be read.
    """
    if not is_remote(name):
        return [name]
    with _reading(name):
        files, place = fsspec.core.url_to_fs(name)
        found = files.ls(place, detail=False) if files.isdir(place) else files.glob(place)
    videos = [files.unstrip_protocol(path) for path in sorted(found) if path.lower().endswith(VIDEO_SUFFIXES)]
    if not videos:
        raise InputError(f'{name} has no video: give a folder, a pattern or a file that ends like a video')
    return videos


@contextmanager
def local_copies(names: Iterable[str], is_live: Callable[[str], bool] = lambda name: False) -> Iterator[list[str]]:
    """Context manager: sources, in which local copies stand for remote videos, removed on exit.

    Lists ``NAME.txt`` become their lines. Addresses that ``is_live`` stay. The copies lie in one folder as on the
    store, which the file names of exports count from.

    Raises InputError as :func:`listed`, or when two remote videos have the same name, or local files are among them.
    """
    found = [(line, is_remote(line) and not is_live(line)) for line in lines_of(names)]
    files = [(address, copied) for line, copied in found for address in (listed(line) if copied else [line])]
    remote = [address for address, copied in files if copied]
    [(name, count)] = Counter(map(posixpath.basename, remote)).most_common(1) or [('', 0)]
    if count > 1:
        raise InputError(f'{count} remote videos are called {name}: give one of them, or use detect_videos.py')
    local = [file for file, copied in files if not (copied or is_live(file))]
    if remote and local:
        raise InputError(f'{remote[0]} is remote but {local[0]} a local file: give them in two runs, since outputs '
                         'name files from one folder')
    with TemporaryDirectory() as folder:
        yield [_copy(address, folder) if copied else address for address, copied in files]


def _copy(address: str, folder: str) -> str:
    # Keys on a store may contain '..'.
    path = folder + posixpath.normpath('/' + address.split('://')[1].lstrip('/'))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with _reading(address):
        files, place = fsspec.core.url_to_fs(address)
        files.get_file(place, path, callback=TqdmCallback(tqdm_kwargs={
            'desc': posixpath.basename(path), 'unit': 'B', 'unit_scale': True, 'mininterval': 1}))
    return path


@contextmanager
def _reading(address: str) -> Iterator[None]:
    # Each kind of store has errors of its own, ImportError among them.
    try:
        yield
    except Exception as error:
        raise InputError(f'{address} cannot be read ({type(error).__name__}: {error}): check the address, and that '
                         "fsspec's package for this kind of store is installed") from error
