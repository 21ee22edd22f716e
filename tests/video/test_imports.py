"""video/ works on numpy arrays: it imports neither torch nor mmdet."""

import ast
import sys
from pathlib import Path

import pytest

from tsm_det.video import sources

ALLOWED = {*sys.stdlib_module_names, 'av', 'cv2', 'fsspec', 'numpy'}
OURS = ('tsm_det.errors', 'tsm_det.files', 'tsm_det.video')
MODULES = sorted(Path(sources.__file__).parent.glob('*.py'))


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
