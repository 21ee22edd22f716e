"""Find and read configs."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict, DictAction
from mmengine.logging import print_log

from tsm_det.config_errors import config_text, reading_error
from tsm_det.config_spelling import check_spelling
from tsm_det.errors import InputError

_SPLITS = ('train', 'val', 'test')
_DATA = ('data_root', *(f'{split}_{part}' for split in _SPLITS for part in ('dataloader', 'evaluator')))
# mmdet's hooks that change the pipeline of images in the last epochs.
_IMAGE_HOOKS = ('YOLOXModeSwitchHook', 'PipelineSwitchHook')


def config_path(name: str) -> str:
    """Path of a config of tsm_det, e.g. ``'tsm_faster_rcnn_r50_vid'``, with or without ``.py``.

    Raises InputError when there is no such config; the message lists all.
    """
    path = package_folder('configs', 'configs') / f'{name.removesuffix(".py")}.py'
    if not path.is_file():
        raise InputError(f'no config is called {name!r}: choose one of {", ".join(config_names())}')
    return str(path)


def config_names() -> list[str]:
    """Names of all configs of tsm_det."""
    return sorted(config.stem for config in package_folder('configs', 'configs').glob('*.py'))


def package_folder(installed: str, cloned: str) -> Path:
    """A folder of files that come with the package: inside it once installed, beside it in a clone."""
    package = Path(__file__).parent
    return next(folder for folder in (package / installed, package.parent / cloned) if folder.is_dir())


def load_config(path: str, cfg_options: dict | None = None, work_dir: str | None = None,
                launcher: str = 'none') -> Config:
    """Read a config file, or the config of tsm_det with this name, and set its ``work_dir``.

    That is the argument, else the config's, else work_dirs/NAME.

    The key ``video_data`` of a config, a file or the name of one in ``configs/_base_`` (``'synthvid'``), replaces all
    dataloaders and evaluators, so that a stock image config trains and tests on video. The option ``data_root`` moves
    every path of the config that starts with the config's ``data_root``.

    Raises InputError when the file is missing or cannot be read, or an option does not fit it.
    """
    if path in config_names():
        path = config_path(path)
    if not Path(path).is_file():
        alike = get_close_matches(Path(path).stem, config_names(), cutoff=0.4) or config_names()[-3:]
        raise InputError(f'the config {path} is missing: give a file, or the name of a config of tsm_det, such as '
                         f'{", ".join(alike)}')
    config, options = _read(path), cfg_options or {}
    if name := options.get('video_data', config.get('video_data')):
        file = Path(path).parent / name
        config = _with_video_data(config, _read(str(file) if file.is_file() else config_path(f'_base_/{name}')))
    if 'data_root' in options and 'data_root' in config:
        config = Config(_rebased(config.to_dict(), config.data_root.rstrip('/'), options['data_root'].rstrip('/')),
                        cfg_text=config_text(config))
    override(config, options)
    config.work_dir = work_dir or config.get('work_dir') or str(Path('work_dirs', Path(path).stem))
    config.launcher = launcher
    return config


def _with_video_data(config: Config, data: Config) -> Config:
    hooks = [hook for hook in config.get('custom_hooks', ()) if hook['type'] not in _IMAGE_HOOKS]
    if len(hooks) < len(config.get('custom_hooks', ())):
        print_log(f'left out {" and ".join(_IMAGE_HOOKS)}: they change pipelines of images', 'current')
    replaced = {key: value for key, value in data.to_dict().items() if key in _DATA}
    config = Config({**config.to_dict(), **replaced, 'custom_hooks': hooks}, cfg_text=config_text(config))
    # Some stock pipelines pad images, where the pyramid needs it; pipelines of clips leave that to the preprocessor.
    config.model.data_preprocessor.setdefault('pad_size_divisor', 32)
    return config


def _read(path: str) -> Config:
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is a program, which can raise anything
        raise reading_error(path, error) from error


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` words as mmengine's ``DictAction`` does: dotted keys to values.

    Raises InputError when a word is not such a pair.
    """
    if wrong := [word for word in words if not re.match(r'[^=\s-][^=\s]*=', word)]:
        raise InputError(f'{wrong[0]!r} is not an option: give KEY=VALUE')
    parsed = argparse.Namespace()
    try:
        DictAction((), 'options')(None, parsed, words)
    except AssertionError as error:
        raise InputError(f'the options {" ".join(words)} cannot be read ({error}): close its brackets') from error
    return parsed.options


def override(config: Config, options: dict[str, Any]) -> None:
    """Set dotted keys of a config. Where a dict in it has None, a name below that begins a dict.

    Raises InputError when a key leads through a value that is neither a dict nor a list, has a number for a dict, or is
    misspelt, see :func:`~tsm_det.config_spelling.check_spelling`.
    """
    check_spelling(config, options)
    for name in options:
        node, seen, keys = config, '', name.split('.')
        for key, following in zip(keys, [*keys[1:], ''], strict=True):
            if key.isdigit() and isinstance(node, dict) and key not in node:
                raise InputError(f'the option {name} takes entry {key} of {seen}, which is one dict, not a list: '
                                 f'write {name.replace(f".{key}", "", 1)}')
            is_dict = following and not following.isdigit()
            if seen and is_dict and isinstance(node, dict) and node.get(key, '') is None:
                node[key] = {}  # such as init_cfg=None of a backbone
            node, seen = node.get(key) if isinstance(node, Config | dict) else None, f'{seen}.{key}'.strip('.')
    try:
        config.merge_from_dict(options)
    except (LookupError, TypeError, AttributeError, AssertionError) as error:
        raise InputError(
            f'the options {", ".join(options)} do not fit the config ({error}): check their keys') from error


def dataset_config(config: Config, loader: str = 'test_dataloader') -> ConfigDict:
    """The dataset of a dataloader.

    Raises InputError when the config has no such dataloader, or its classes are not a list of names.
    """
    if not config.get(loader):
        raise InputError(f'the config {config.filename or ""} has no {loader}: add it, or take a complete config, such '
                         'as one of configs/')
    dataset = config[loader].dataset
    class_names((dataset.get('metainfo') or {}).get('classes'))
    return dataset


def class_names(given: Any, where: str = 'metainfo.classes') -> tuple[str, ...] | None:
    """Return names of classes as a tuple, or None for None; a str names a text file with one name per line.

    Raises InputError when it is something else: ``('bird')``, for example, is the str ``'bird'``.
    """
    if isinstance(given, str):
        if not Path(given).is_file():
            raise InputError(f'{where} is the str {given!r} but a list of names is required: write ({given!r},)')
        given = Path(given).read_text().splitlines()
    if given is None:
        return None
    if not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
        raise InputError(f'{where} is {given!r} but a list of names is required: write, for example, ("bird", "drone")')
    return tuple(given)


def evaluators_of(config: Config, name: str = 'test_evaluator') -> Sequence[dict]:
    """The evaluators of a config, which may have none, one, or a list."""
    evaluators = config.get(name) or ()
    return [evaluators] if isinstance(evaluators, dict) else evaluators


def _rebased(node: Any, old: str, new: str) -> Any:
    """Replace ``old`` by ``new`` in all paths of a config at or under ``old``."""
    if isinstance(node, dict):
        return {key: _rebased(value, old, new) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_rebased(value, old, new) for value in node)
    return new + node[len(old):] if isinstance(node, str) and f'{node}/'.startswith(f'{old}/') else node
