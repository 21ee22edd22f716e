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
_LEAST_SIMILARITY = 0.85  # that of scor_thr and score_thr is larger, that of norm1 and norm2 smaller


def check_spelling(config: Config, options: Iterable[str]) -> None:
    """Check that something reads the dotted keys of options; a dict with a ``type`` is checked when it is built.

    Logs keys at the top that only the user's own code may read, and those whose values the config has used already.
    Raises InputError when a new key is spelt almost like another.
    """
    for name in options:
        top, *rest = name.split('.')
        if top not in _TOP and top not in config:
            if suggestion := _suggestion(top, [*_TOP, *config]):
                raise InputError(f'the option {name} sets {top}, which the config does not have{suggestion}: check its '
                                 'spelling')
            print_log(f'the option {name} sets a key that the config does not have and that neither mmengine, mmdet '
                      'nor tsm_det reads', 'current', logging.WARNING)
        elif top not in _TOP:
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
    alike = get_close_matches(key, known, 1, _LEAST_SIMILARITY)
    return f', but {alike[0]}' if alike else ''
