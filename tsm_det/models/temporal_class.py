"""Make and register a temporal class out of a mixin and one of mmdet's."""

from __future__ import annotations

import sys

from mmdet.registry import MODELS


def temporal_class(mixin: type, parent: type, **attributes: object) -> type:
    """Register ``TSM`` + the name of ``parent``, with ``mixin`` in front of it.

    The class belongs to the module that calls the caller, where pickle finds it under its name.
    """
    namespace = {**attributes, '__module__': sys._getframe(2).f_globals['__name__'],
                 '__doc__': f"mmdet's {parent.__name__} for streams: see :class:`{mixin.__name__}`."}
    return MODELS.register_module()(type(f'TSM{parent.__name__}', (mixin, parent), namespace))
