"""Names of a detector's labels: found in checkpoints, and counted against its outputs."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from tsm_det.errors import InputError
from tsm_det.models.weights import heads_of


def learned_classes(content: dict, checkpoint: str | None) -> tuple[str, ...] | None:
    """Class names in the content of a checkpoint; None without any.

    mmengine saves ``meta.dataset_meta.classes``; its first versions wrote ``CLASSES``, and mmdet 2 ``meta.CLASSES``.
    """
    meta = content.get('meta') or {}
    for where, holder in (('meta.dataset_meta', meta.get('dataset_meta') or {}), ('meta', meta)):
        for key in ('classes', 'CLASSES'):
            if names := holder.get(key):
                if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
                    return tuple(names)
                raise InputError(f'{where}.{key} of the checkpoint {checkpoint} is {names!r} but a list of names is '
                                 'required: save it so')
    return None


def check_learned_classes(model: nn.Module, content: dict, checkpoint: str | None) -> tuple[str, ...] | None:
    """Return :func:`learned_classes` of the detector's checkpoint; raise InputError unless each class has one name."""
    if names := learned_classes(content, checkpoint):
        check_class_count(model, names, f'the checkpoint {checkpoint}',
                          'save it with the names of its training (meta.dataset_meta.classes), or with none')
    return names


def check_class_count(model: nn.Module, names: Sequence[str], owner: str, fix: str = 'set {key} to {count}') -> None:
    """Raise InputError when a head of the detector has another number of classes than ``owner`` has names.

    ``fix``, the end of the message, may hold ``{key}``, that of the head's number, and ``{count}``, of the names.
    """
    for name, head in heads_of(model):
        if head.num_classes != (count := len(names)):
            listed = ', '.join([*names[:5], '...'] if count > 5 else names)
            raise InputError(f'the model has {head.num_classes} classes but {owner} has {count} ({listed}): '
                             + fix.format(key=f'model.{name}.num_classes', count=count))
