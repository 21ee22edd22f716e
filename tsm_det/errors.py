"""The one exception for bad input."""

from __future__ import annotations


class InputError(ValueError):
    """A file, a key or a flag is wrong; the message says what came, what was needed, what to do."""
