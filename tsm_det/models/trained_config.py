"""Differences between the config of a detector and the config of its checkpoint's training."""

from __future__ import annotations

import ast
import inspect
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.logging import print_log

_PARTS = ('data_preprocessor', 'backbone', 'neck')
# They matter in training only, or weights of another type do not fit.
_IGNORED = {'init_cfg', 'pretrained', 'convert_weights', 'frozen_stages', 'norm_eval', 'with_cp', 'momentum',
            'requires_grad', 'drop_rate', 'attn_drop_rate', 'drop_path_rate', 'batch_augments', '_scope_'}
_SAME_IN_INFERENCE = {'SyncBN': 'BN', 'SyncBatchNorm': 'BN', 'BatchNorm2d': 'BN', 'BN2d': 'BN'}


def warn_of_other_config(config: Config, content: Mapping, checkpoint: str | None) -> None:
    """Log keys of input, backbone and neck whose values differ from those in the config that a checkpoint holds.

    Weights fit whatever such values are, ``shift_div`` or the mean of the pixels for example. ``content`` is that of
    the file; without a config of this form in it, nothing is known.
    """
    meta = content.get('meta')
    trained = _model_of(meta.get('cfg')) if isinstance(meta, Mapping) else {}
    model = config.to_dict()['model']
    if found := [difference for part in _PARTS if isinstance(trained.get(part), dict) and part in model
                 for difference in _differences(model[part], trained[part], f'model.{part}')]:
        print_log(f'{checkpoint} was trained with another config: '
                  f'{", ".join(f"{key}={theirs!r} (here {ours!r})" for key, ours, theirs in found)}. Give the '
                  'config of its training, unless this is what you want', 'current', logging.WARNING)


def _differences(ours: Any, theirs: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """Key, our value and theirs, of keys that both have."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        ours, theirs = _with_defaults(ours), _with_defaults(theirs)
        for key in sorted(ours.keys() & theirs.keys() - _IGNORED):
            yield from _differences(ours[key], theirs[key], f'{name}.{key}')
    elif _plain(ours) != _plain(theirs):
        yield name, ours, theirs


def _with_defaults(values: dict) -> dict:
    """Add the defaults of the class that a config names."""
    name = str(getattr(values.get('type'), '__name__', values.get('type'))).rpartition('.')[2]
    # Not MODELS.get, which imports what a text names.
    kind = next((registry.module_dict[name] for registry in (MODELS, MODELS.parent)
                 if registry is not None and name in registry.module_dict), None)
    defaults = {key: parameter.default for base in reversed(getattr(kind, '__mro__', ()))
                for key, parameter in inspect.signature(base.__init__).parameters.items()
                if parameter.default is not parameter.empty}
    return {**defaults, **values, 'type': _SAME_IN_INFERENCE.get(name, name)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def _model_of(text: object) -> dict:
    """The ``model`` of a config's text, which is read, not run; {} where it is not written out."""
    if not isinstance(text, str):
        return {}
    try:
        values = (_value(line.value) for line in ast.parse(text).body if isinstance(line, ast.Assign)
                  and [getattr(target, 'id', '') for target in line.targets] == ['model'])
        model: object = next(values, {})
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return {}
    return model if isinstance(model, dict) else {}


def _value(node: ast.expr) -> Any:
    """A value written with literals and ``dict(...)``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args:
        return {word.arg: _value(word.value) for word in node.keywords}
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(part) for part in node.elts]
    if isinstance(node, ast.Dict):
        return {_value(key): _value(part) for key, part in zip(node.keys, node.values, strict=True) if key is not None}
    return ast.literal_eval(node)
