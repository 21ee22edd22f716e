"""A server with a tiny detector."""

import tempfile
from contextlib import ExitStack

import pytest

from tests.serving.pages import serving
from tests.streams.conftest import make_detector  # noqa: F401
from tsm_det.serving.limits import Limits


@pytest.fixture
def detector(make_detector):  # noqa: F811
    """The one that is served."""
    return make_detector()


@pytest.fixture
def temp_folder(tmp_path, monkeypatch):
    """Where temporary files go."""
    folder = tmp_path / 'temp'
    folder.mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(folder))
    return folder


@pytest.fixture
def serve(detector, temp_folder):
    """Starts the server with some limits; gives its port."""
    with ExitStack() as stack:
        yield lambda **limits: stack.enter_context(serving(detector, Limits(**limits)))
