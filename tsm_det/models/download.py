"""Fetch checkpoints by https into a cache, where each address has a file of its own."""

from __future__ import annotations

import hashlib
import os
import re
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, build_opener

from mmengine.logging import print_log
from mmengine.runner.checkpoint import get_external_models, get_mmcls_models, get_torchvision_models

from tsm_det.errors import InputError
from tsm_det.files import write_bytes

_TABLES = {'torchvision': get_torchvision_models, 'modelzoo': get_torchvision_models, 'mmcls': get_mmcls_models,
           'open-mmlab': get_external_models, 'openmmlab': get_external_models}


def local_file(name: str) -> Path:
    """The file of a checkpoint: a path, an https address, which is downloaded once, or a name of mmengine.

    Raises InputError when the address is not https, the name is unknown, or the download fails.
    """
    if not (found := re.match(r'([\w.+-]+)://(.*)', name)):
        return Path(name).expanduser()
    scheme, rest = found.groups()
    if scheme in _TABLES:
        try:
            known = _TABLES[scheme]()
        except ImportError as error:
            raise InputError(f'{name} needs {error.name}: install it, or give a path or an https address') from error
        if rest not in known:
            raise InputError(f'{name} is not a checkpoint that mmengine knows: give a path, or an https address')
        return local_file(known[rest])
    if scheme != 'https':
        raise InputError(f'the checkpoint {name} is not on this machine and not at an https address, so anyone on the '
                         'way could replace it: download it yourself and give its path')
    path = cache_path(name)
    if not path.is_file():
        print_log(f'downloading {name} to {path}', 'current')
        _download(name, path)
    return path


def cache_path(address: str) -> Path:
    """Where the file of an address is kept."""
    folder = cache_folder() / 'checkpoints'
    return folder / f'{hashlib.sha256(address.encode()).hexdigest()[:16]}-{PurePosixPath(urlsplit(address).path).name}'


def cache_folder() -> Path:
    """Folder of files to make or fetch once: ``TSM_DET_CACHE``, or ``tsm_det`` in the user's cache folder."""
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(os.environ.get('TSM_DET_CACHE') or Path(cache, 'tsm_det'))


def _download(address: str, path: Path) -> None:
    try:
        with build_opener(_HttpsOnly).open(address, timeout=60) as answer:
            content = answer.read()
    except (OSError, HTTPException) as error:
        raise InputError(f'{address} cannot be downloaded ({" ".join(str(error).split())}): try again, or copy the '
                         f'file to {path}') from error
    write_bytes(content, path)


class _HttpsOnly(HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not newurl.startswith('https://'):
            raise InputError(f'{req.full_url} leads to {newurl}, which is not https: download the file yourself')
        return super().redirect_request(req, fp, code, msg, headers, newurl)
