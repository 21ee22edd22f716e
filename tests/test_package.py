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


def test_a_tool_without_a_working_stack_ends_with_status_2_and_says_what_to_install():
    program = ("import runpy, sys\n"
               "sys.modules['mmdet'] = None\n"
               "sys.path.insert(0, 'tools')\n"
               "sys.argv = ['tools/detect_video.py', 'synthvid', 'missing.mp4']\n"
               "runpy.run_path('tools/detect_video.py', run_name='__main__')\n")
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith('error: tsm_det needs torch')
    assert 'Traceback' not in done.stderr


@pytest.mark.slow
def test_an_install_contains_every_module_config_tool_and_weight(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    folders = {'tsm_det': 'tsm_det', 'configs': 'tsm_det/configs', 'tools': 'tsm_det_tools',
               'data/checkpoints': 'tsm_det/checkpoints'}
    for folder, there in folders.items():
        files = [path for path in (ROOT / folder).rglob('*') if path.suffix in ('.py', '.pth', '.yml')]
        assert files
        assert {f'{there}/{path.relative_to(ROOT / folder)}' for path in files} <= names
    assert {'tsm_det/py.typed', 'tsm_det/checkpoints/LICENSE'} <= names


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
