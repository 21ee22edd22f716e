"""Keys of options that nothing would read."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable
from difflib import get_close_matches

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner

from tsm_det.errors import InputError

# What mmengine's runner, mmdet and tsm_det read at the top level.
_TOP = {*inspect.signature(Runner.__init__).parameters, 'activation_checkpointing', 'compile', 'custom_imports',
        'data_root', 'efficient_conv_bn_eval', 'find_unused_parameters', 'model_wrapper_cfg', 'runner_type', 'strategy',
        'sync_bn', 'tracker', 'tta_model', 'tta_pipeline', 'video_data'} - {'self', 'cfg'}
_FREE = ('custom_keys', 'data_prefix', 'default_hooks')  # their keys are names that users choose
_ALIKE = 0.85  # scor_thr is like score_thr, but norm1 not like norm2


def check_spelling(config: Config, options: Iterable[str]) -> None:
    """Check that something reads the dotted keys of options; a dict with a ``type`` is checked when it is built.

    Logs keys whose values the config has used already. Raises InputError when a new key at the top is none that is
    read, or one in a dict without ``type`` is spelt almost like another.
    """
    for name in options:
        top, *rest = name.split('.')
        if top not in config and top not in _TOP:
            raise InputError(f'the option {name} sets {top}, which neither the config nor anything else has'
                             f'{_suggestion(top, [*_TOP, *config])}: check its spelling')
        if top not in _TOP:
            print_log(f'the option {name} changes a name whose value the config has already used: if nothing changes, '
                      'set the keys that it went into', 'current', logging.WARNING)
        _check_below(config.get(top), rest, name)


def _check_below(node: object, keys: list[str], name: str) -> None:
    for key in keys:
        if not isinstance(node, dict) or key in _FREE:
            return
        if key not in node and 'type' not in node and (suggestion := _suggestion(key, node)):
            raise InputError(f'the option {name} sets {key}, which the config does not have{suggestion}: check its '
                             'spelling')
        node = node.get(key)


def _suggestion(key: str, known: Iterable[str]) -> str:
    alike = get_close_matches(key, known, 1, _ALIKE)
    return f', but {alike[0]}' if alike else ''
