"""Read JSON files of any nesting; each key is checked where it is read."""

from __future__ import annotations

import os
from typing import Any

from tsm_det.cocovid.read import is_number, is_whole, load_json
from tsm_det.errors import InputError

_KINDS = {'text': lambda value: isinstance(value, str) and bool(value.strip()),
          'a whole number from 0': is_whole,
          'text or a whole number': lambda value: isinstance(value, str) or is_whole(value, -2 ** 63),
          'a number': is_number,
          'true or false': lambda value: isinstance(value, bool),
          'a list': lambda value: isinstance(value, list),
          'an object': lambda value: isinstance(value, dict)}
_NO_DEFAULT: Any = object()


class JsonObject:
    """An object of a JSON file; ``place`` says where it is, for messages.

    Every method returns the value of a key, or ``default`` (if given) where the key is missing or null. It raises
    InputError when the value has another type.
    """

    def __init__(self, value: object, place: str) -> None:
        self.place = place
        self._value: dict = _checked(value, 'an object', place)

    def text(self, key: str, default: str = _NO_DEFAULT) -> str:
        return self._get(key, 'text', default)

    def whole(self, key: str, default: int = _NO_DEFAULT) -> int:
        return self._get(key, 'a whole number from 0', default)

    def number(self, key: str, default: float = _NO_DEFAULT) -> float:
        return self._get(key, 'a number', default)

    def flag(self, key: str, default: bool = _NO_DEFAULT) -> bool:
        return self._get(key, 'true or false', default)

    def array(self, key: str, default: list = _NO_DEFAULT) -> list:
        return self._get(key, 'a list', default)

    def child(self, key: str, default: dict = _NO_DEFAULT) -> JsonObject:
        return JsonObject(self._get(key, 'an object', default), f'{self.place}, {key}')

    def objects(self, key: str, default: list = _NO_DEFAULT) -> list[JsonObject]:
        return [JsonObject(value, f'{self.place}, {key}[{index}]')
                for index, value in enumerate(self.array(key, default))]

    def texts(self, key: str, default: list = _NO_DEFAULT) -> list[str]:
        return [_checked(value, 'text', f'{self.place}, {key}[{index}]')
                for index, value in enumerate(self.array(key, default))]

    def box(self, key: str) -> tuple[float, float, float, float]:
        values = self.array(key)
        if len(values) != 4:
            raise InputError(f'{self.place}, {key} has {len(values)} values but must have 4: fix it, or export the '
                             'file again')
        x, y, width, height = (_checked(value, 'a number', f'{self.place}, {key}[{index}]')
                               for index, value in enumerate(values))
        return x, y, width, height

    def has(self, key: str) -> bool:
        """Whether the key is there and not null."""
        return self._value.get(key) is not None

    def first(self, *keys: str) -> str:
        """Return the first of several spellings of a key that is there; the first of all if none is."""
        return next((key for key in keys if self.has(key)), keys[0])

    def identifier(self, key: str, default: str | None = _NO_DEFAULT) -> str | None:
        """Return text or a whole number, as text."""
        value = self._get(key, 'text or a whole number', default)
        return value if value is default else str(value)

    def _get(self, key: str, kind: str, default: Any) -> Any:
        value = self._value.get(key)
        if value is None and default is not _NO_DEFAULT:
            return default
        return _checked(value, kind, f'{self.place}, {key}')


def read_objects(path: str | os.PathLike, key: str) -> list[JsonObject]:
    """Return the objects of a JSON file that holds a list of them, or an object with the list under ``key``."""
    content = load_json(path)
    return JsonObject(content if isinstance(content, dict) else {key: content}, str(path)).objects(key)


def _checked(value: Any, kind: str, place: str) -> Any:
    if not _KINDS[kind](value):
        state = 'is missing' if value is None else f'is {str(value)[:40]!r}'
        raise InputError(f'{place} {state} but must be {kind}: fix it, or export the file again')
    return value
