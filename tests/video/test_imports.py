"""video/ takes and gives numpy arrays: it imports neither torch nor mmdet, nor what imports them."""

import ast
import logging
import sys
from pathlib import Path

import pytest

import tsm_det.video.batches
from tsm_det.errors import InputError
from tsm_det.video.batches import batches

ALLOWED = {*sys.stdlib_module_names, 'av', 'cv2', 'numpy'}
OURS = ('tsm_det.errors', 'tsm_det.files', 'tsm_det.video')
MODULES = sorted(Path(tsm_det.video.batches.__file__).parent.glob('*.py'))


@pytest.mark.parametrize('path', MODULES, ids=lambda path: path.stem)
def test_a_module_imports_numpy_and_readers_only(path):
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(node.module)
    assert not [name for name in names if name.split('.')[0] not in ALLOWED and not name.startswith(OURS)]


class Broken:
    is_live, name = True, 'broken'

    def frames(self, start, stride):
        yield None
        raise InputError('it broke')


def test_a_warning_reaches_stderr_without_configured_logging(monkeypatch, capfd):
    class Silent(Broken):
        name = 'silent'

        def frames(self, start, stride):
            yield from [None] * 9
    monkeypatch.setattr(logging.root, 'handlers', [])
    with pytest.raises(InputError):
        list(batches([Broken(), Silent()]))
    assert 'it broke' in capfd.readouterr().err
