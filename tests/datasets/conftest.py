"""Fixtures shared with the tests of evaluation."""

from tests.evaluation.conftest import scene  # noqa: F401
