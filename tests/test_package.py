"""The package as a whole: what an install contains, and what an import without the stack says."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize('missing', ['torch', 'mmcv', 'mmcv.ops', 'mmdet', 'mmengine'])
def test_an_import_without_a_working_stack_says_in_three_lines_what_to_install(missing):
    program = ('import sys\n'
               f'sys.modules[{missing!r}] = None\n'
               'try:\n'
               '    import tsm_det\n'
               'except ImportError as error:\n'
               '    print(error)\n')
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', program], capture_output=True, text=True, cwd=ROOT)
    lines = [line for line in done.stdout.splitlines() if 'OneDL' not in line]
    assert len(lines) == 3, done.stdout + done.stderr
    assert missing in lines[0]
    assert "pip install --no-build-isolation 'tsm_det[onedl]'" in lines[1]


@pytest.mark.slow
def test_an_install_contains_every_module_and_config(tmp_path):
    for part in ('tsm_det', 'configs'):
        shutil.copytree(ROOT / part, tmp_path / 'source' / part, ignore=shutil.ignore_patterns('__pycache__'))
    for part in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(ROOT / part, tmp_path / 'source')
    subprocess.run([sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '--no-index',
                    '-w', str(tmp_path), str(tmp_path / 'source')], check=True, capture_output=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob('*.whl'))).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / 'tsm_det').rglob('*.py')}
    configs = {f'tsm_det/{path.relative_to(ROOT)}' for path in (ROOT / 'configs').rglob('*.py')}
    assert modules | configs | {'tsm_det/py.typed'} <= names


@pytest.mark.slow
def test_an_installed_config_is_found_and_read(tmp_path):
    """``config_path`` prefers the configs inside the package, which an install has beside its modules."""
    shutil.copytree(ROOT / 'tsm_det', tmp_path / 'tsm_det', ignore=shutil.ignore_patterns('__pycache__', 'configs'))
    shutil.copytree(ROOT / 'configs', tmp_path / 'tsm_det' / 'configs')
    program = ('from mmengine.config import Config\n'
               'from tsm_det import config_path\n'
               "path = config_path('tsm_faster_rcnn_r50_vid')\n"
               "print(path, Config.fromfile(path).model.type)\n")
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', program], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split()[-2:] == [
        str(tmp_path / 'tsm_det/configs/tsm_faster_rcnn_r50_vid.py'), 'TSMFasterRCNN'], done.stderr
