"""tools/convert_dataset.py, as a user types it."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.datasets.csv_folder import add
from tsm_det.datasets import synthetic_vid

TOOL = Path(__file__).parents[1] / 'tools' / 'convert_dataset.py'


@pytest.fixture
def folder(tmp_path):
    """Where the videos are."""
    folder = tmp_path / 'videos'
    folder.mkdir()
    return folder


def run_tool(monkeypatch, *arguments):
    """Run the tool in this process; returns its exit status."""
    spec = importlib.util.spec_from_file_location('convert_dataset', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, arguments)])
    try:
        tool.main()
    except SystemExit as end:
        return end.code
    return 0


def test_the_tool_prints_a_summary_and_a_progress_bar(folder, monkeypatch, capsys):
    add(folder, 'a', ['0,bird,1,1,4,4', '1,bird,1,1,4,4', '2,drone,-1,1,4,4', *['9,bird,1,1,4,4'] * 23])
    out = folder.parent / 'new' / 'all.json'
    assert run_tool(monkeypatch, 'csv-videos', folder, '--out', out, '--classes', 'drone', 'bird') == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[:5] == [
        '1 videos, 6 frames, 3 boxes (1 clipped to the frame), 2 tracks', '  drone: 1 boxes, 1 tracks',
        '  bird: 2 boxes, 1 tracks', '23 rows dropped',
        '  a line 5: frame 9 is not in the video, which has frames 0 to 5']
    assert printed.out.count('frame 9 is not') == 20 and printed.out.endswith('  ...\n')
    assert '1/1' in printed.err
    assert [item['name'] for item in json.loads(out.read_text())['categories']] == ['drone', 'bird']


def test_the_tool_splits(folder, monkeypatch, capsys):
    for name in 'abcde':
        add(folder, name, ['0,bird,1,1,4,4'])
    files = [folder.parent / name for name in ('all.json', 'kept.json', 'held_out.json')]
    (folder.parent / 'places.csv').write_text('video,place\n' + '\n'.join(f'{name},{name}' for name in 'abcde'))
    run_tool(monkeypatch, 'csv-videos', folder, '--out', files[0])
    assert run_tool(monkeypatch, 'split', files[0], '--groups', folder.parent / 'places.csv', '--group-column', 'place',
                    '--video-column', 'video', '--fraction', '0.4', '--seed', '3', '--out', *files[1:]) == 0
    assert 'videos: 2 of 5 held out (40.0 %)' in capsys.readouterr().out
    assert [len(json.loads(path.read_text())['images']) for path in files] == [30, 18, 12]


def test_the_tool_makes_synthetic_videos(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(synthetic_vid, 'make_synthetic_vid', lambda **arguments: asked.append(arguments))
    assert run_tool(monkeypatch, 'synthvid', '--out', tmp_path / 'new', '--seed', '3') == 0
    assert (asked[0]['root'], asked[0]['seed']) == (str(tmp_path / 'new'), 3)


@pytest.mark.parametrize(('rows', 'options', 'message'), [
    (['0,bird,one,1,4,4'], (), "a.csv line 2: x is 'one' but must be a number: mend the row"),
    (['0,bird,1,1,4,4'], ('--classes', 'ant'), "a.csv line 2 has the label 'bird', which is none of the classes ant")])
def test_bad_input_is_answered_by_the_tool_in_one_sentence(folder, monkeypatch, capsys, rows, options, message):
    add(folder, 'a', rows)
    assert run_tool(monkeypatch, 'csv-videos', folder, '--out', folder.parent / 'all.json', *options) == 2
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 1 and printed[0].startswith('error: ') and message in printed[0]


@pytest.mark.slow
def test_bad_input_ends_the_tool_with_status_2_and_one_sentence(folder):
    ended = subprocess.run([sys.executable, str(TOOL), 'csv-videos', str(folder), '--out', str(folder / 'all.json')],
                           capture_output=True, text=True, cwd=TOOL.parents[1],
                           env={**os.environ, 'PYTHONPATH': str(TOOL.parents[1])})
    assert (ended.returncode, 'Traceback' in ended.stderr) == (2, False)
    assert ended.stderr.splitlines()[-1].startswith(f'error: {folder} holds no video')


@pytest.mark.parametrize('command', ['synthvid', 'csv-videos', 'split'])
def test_the_tool_explains_itself(monkeypatch, capsys, command):
    assert run_tool(monkeypatch, '--help') == run_tool(monkeypatch, command, '--help') == 0
    assert 'python tools/convert_dataset.py synthvid --out data/synthvid' in capsys.readouterr().out


# Real data
