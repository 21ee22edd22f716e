"""The command tsm-det, in a clone and installed from a wheel."""

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import pytest

from tools.cli import COMMANDS
from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.published import DEFAULT, PUBLISHED, published

ROOT = Path(__file__).parent.parent
# Runs tsm-det from a clone; fails if that imports what makes help slow.
HELP = ("import sys\nfrom tools.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n"
        "    assert not {'torch', 'mmengine', 'numpy', 'tsm_det'} & sys.modules.keys()\n    raise\n")


def tsm_det(*arguments, **environment):
    return subprocess.run([sys.executable, '-c', HELP, *arguments], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, **environment})


@pytest.mark.parametrize('command', COMMANDS)
def test_help_of_a_command_begins_with_it_and_does_not_wait_for_torch(command):
    done = tsm_det(command, '--help')
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'usage: tsm-det {command} ')
    assert 'python tools/' not in done.stdout and 'configs/' not in done.stdout.split('\n\n')[0]


def test_help_lists_all_commands():
    done = tsm_det('--help')
    assert done.returncode == 0, done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines() if line.startswith('  ')} >= COMMANDS.keys()


@pytest.mark.parametrize('words', [[], ['detct', 'a.mp4'], ['--out', 'x']])
def test_a_command_that_does_not_exist_is_refused(words):
    done = tsm_det(*words)
    assert done.returncode == 2
    assert 'Traceback' not in done.stderr


@pytest.mark.parametrize(('line', 'words'), [
    ('tsm-det ', set(COMMANDS)), ('tsm-det de', {'detect', 'demo'}),
    ('tsm-det detect --save-', {'--save-state', '--save-every'}), ('tsm-det convert sel', {'select'}),
    ('tsm-det convert select --re', {'--renumber'}), ('tsm-det test --launcher sl', {'slurm'})])
def test_a_shell_completes_commands_options_and_choices(line, words, tmp_path):
    pytest.importorskip('argcomplete')
    done = tsm_det(_ARGCOMPLETE='1', COMP_LINE=line, COMP_POINT=str(len(line)), _ARGCOMPLETE_IFS='\n',
                   _ARGCOMPLETE_STDOUT_FILENAME=str(tmp_path / 'words'))
    assert done.returncode == 0, done.stderr
    found = {word.strip() for word in (tmp_path / 'words').read_text().splitlines()}
    assert found - {'-h', '--help', '--version'} == words


@pytest.fixture(scope='module')
def install(wheel, tmp_path_factory):
    """A folder that the wheel is installed into, without what it depends on."""
    folder = tmp_path_factory.mktemp('install')
    subprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--no-index', '--target', str(folder),
                    str(wheel)], check=True, capture_output=True)
    return folder


@pytest.fixture
def installed(install, tmp_path):
    """Runs the installed tsm-det in an empty folder."""
    def installed(*arguments):
        (tmp_path / 'empty').mkdir(exist_ok=True)
        return subprocess.run([install / 'bin' / 'tsm-det', *arguments], cwd=tmp_path / 'empty', text=True,
                              capture_output=True, env={**os.environ, 'PYTHONPATH': str(install)})
    return installed


@pytest.mark.slow
@pytest.mark.parametrize('detector', [(), ('synthvid',)])
def test_an_installed_detect_gives_what_the_tool_gives_in_a_clone(installed, run, detector, tmp_path):
    make_synthetic_vid(tmp_path / 'data', train_videos=1, val_videos=1, frames_per_video=5)
    video = tmp_path / 'data' / 'val' / '000.mp4'
    config, weights = published(*detector or [DEFAULT])
    status, _, err = run(f'detect_video {config} {weights} {video} --json {tmp_path}/clone.jsonl')
    assert status == 0, err
    done = installed('detect', *detector, video, '--json', tmp_path / 'installed.jsonl')
    assert done.returncode == 0, done.stdout + done.stderr
    # Without a name, the log says which was taken and what else there is.
    assert (', '.join(PUBLISHED) in done.stdout + done.stderr) == (not detector)
    lines = (tmp_path / 'installed.jsonl').read_text()
    assert lines == (tmp_path / 'clone.jsonl').read_text()
    assert sum(len(json.loads(line)['detections']) for line in lines.splitlines()) >= 5


@pytest.mark.slow
def test_the_installed_demo_draws_a_video(installed, tmp_path):
    done = installed('demo')
    assert done.returncode == 0, done.stdout + done.stderr
    with av.open(str(tmp_path / 'empty' / done.stdout.splitlines()[-1])) as video:
        frames = sum(1 for _ in video.decode(video=0))
    found = (tmp_path / 'empty' / 'tsm_det_demo' / 'detections.jsonl').read_text().splitlines()
    assert frames == len(found) > 3
    assert any(json.loads(line)['detections'] for line in found)


@pytest.mark.slow
def test_an_installed_tool_finds_its_configs_by_name_and_the_thermal_weights(installed, tmp_path):
    done = installed('export', 'thermal', '--size', '256', '320', '--out', tmp_path / 'model.onnx')
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / 'model.onnx').is_file()
    done = installed('train', 'tsm_faster_rcnn_r50_vid')
    assert done.returncode == 2
    assert 'imagenet_vid_train.json is missing' in done.stderr
