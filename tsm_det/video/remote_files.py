"""Videos on object stores and other servers that fsspec reads, such as ``s3://bucket/folder/*.mp4``."""

from __future__ import annotations

import os
import posixpath
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
    """Context manager: sources, in which a local folder of copies stands for each remote place, removed on exit.

    Lists ``NAME.txt`` become their lines. Addresses that ``is_live`` stay. Raises InputError as :func:`listed`, or when
    two remote videos have the same name.
    """
    with TemporaryDirectory() as folder:
        seen: set[str] = set()
        yield [_copied(name, os.path.join(folder, str(k)), seen) if is_remote(name) and not is_live(name) else name
               for k, name in enumerate(lines_of(names))]


def _copied(place: str, folder: str, seen: set[str]) -> str:
    os.mkdir(folder)
    for address in listed(place):
        name = posixpath.basename(address)
        if name in seen:
            raise InputError(f'two remote videos are called {name}, such as {address}: give one of them, or use '
                             'detect_videos.py')
        seen.add(name)
        with _reading(address):
            files, path = fsspec.core.url_to_fs(address)
            files.get_file(path, os.path.join(folder, name), callback=TqdmCallback(
                tqdm_kwargs={'desc': name, 'unit': 'B', 'unit_scale': True, 'mininterval': 1}))
    return folder


@contextmanager
def _reading(address: str) -> Iterator[None]:
    # Each kind of store has errors of its own, ImportError among them.
    try:
        yield
    except Exception as error:
        raise InputError(f'{address} cannot be read ({type(error).__name__}: {error}): check the address, and that '
                         "fsspec's package for this kind of store is installed") from error
