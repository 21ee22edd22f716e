"""The checkpoints of a work dir: written whole and with a checksum, and the one to resume from."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from tsm_det.errors import InputError
from tsm_det.files import write_bytes, write_text
from tsm_det.models.checkpoint_file import read_checkpoint
from tsm_det.models.weights import not_finite
from tsm_det.sealed import seal

_BACKEND = {'backend': 'sealed'}


@register_backend('sealed')
class SealedBackend(LocalBackend):
    """Writes the checkpoints of mmengine's ``CheckpointHook`` atomically, with a checksum."""

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write a file; raise InputError when there is no room."""
        write_bytes(seal(obj), filepath)


def write_whole(runner: Runner) -> None:
    """Let mmengine's ``CheckpointHook`` write local checkpoints by :class:`SealedBackend`."""
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.backend_args is None and '://' not in str(hook.out_dir):
            hook.backend_args = dict(_BACKEND)


def save_now(runner: Runner, epoch: int, step: int) -> None:
    """Save a checkpoint between those of ``CheckpointHook``, as the last one of the work dir."""
    path = Path(runner.work_dir, f'iter_{step}.pth')
    runner.save_checkpoint(str(path.parent), path.name, meta={'epoch': epoch, 'iter': step}, by_epoch=False,
                           backend_args=dict(_BACKEND))
    if is_main_process():
        write_text(str(path), path.with_name('last_checkpoint'))


def last_checkpoint(work_dir: str | os.PathLike) -> Path | None:
    """The checkpoint that the last training wrote last, if there was one.

    Raises InputError when the record of it is empty; the message names the last undamaged checkpoint.
    """
    record = Path(work_dir, 'last_checkpoint')
    if not record.is_file():
        return None
    if not (path := record.read_text().strip()):
        raise InputError(f'{record} is empty because a training was killed while writing it: {_advice(work_dir, None)}')
    return Path(path)


def checkpoint_to_resume(work_dir: str | os.PathLike, trust: bool = False) -> Path | None:
    """The last checkpoint of a work dir, if there is one.

    Raises InputError when it cannot be read or its weights are not finite; the message names the one before it.
    """
    path = last_checkpoint(work_dir)
    if path and (problem := _problem(path, trust)):
        raise InputError(f'{problem.split(": ")[0]}: {_advice(work_dir, path, trust)}')
    return path


def _problem(path: Path, trust: bool) -> str | None:
    try:
        weights = read_checkpoint(str(path), trust=trust)['state_dict']
    except InputError as error:
        return str(error)
    return f'{path} holds nan or infinite values ({bad[0]})' if (bad := not_finite(weights)) else None


def _advice(work_dir: str | os.PathLike, damaged: Path | None, trust: bool = False) -> str:
    """Name the latest checkpoint that can be read."""
    written = sorted(Path(work_dir).glob('*.pth'), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in written:
        is_other = re.match(r'(iter|epoch)_\d', path.name) and (damaged is None or path.name != damaged.name)
        if is_other and not _problem(path, trust):
            return f'continue from the checkpoint before it by --resume {path}'
    return f'no other checkpoint in {work_dir} can be read, so train without --resume'
