"""tools/convert_dataset.py, as a user types it."""

import json
import os
import runpy
import subprocess
import sys
from inspect import signature
from pathlib import Path
from pkgutil import resolve_name

import pytest

from tests.cocovid.csv_folder import add
from tests.cocovid.image_folder import write_images
from tsm_det.datasets import synthetic_vid

TOOL = Path(__file__).parents[1] / 'tools' / 'convert_dataset.py'
COMMANDS = runpy.run_path(str(TOOL.with_name('converters.py')))['COMMANDS']


@pytest.fixture
def folder(tmp_path):
    """Where the videos are."""
    folder = tmp_path / 'videos'
    folder.mkdir()
    return folder


def run_tool(monkeypatch, *arguments):
    """Run the tool in this process; returns its exit status."""
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, arguments)])
    monkeypatch.syspath_prepend(TOOL.parent)
    try:
        runpy.run_path(str(TOOL), run_name='__main__')
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
    (['0,bird,one,1,4,4'], (), "a.csv line 2: x is 'one' but must be a number"),
    (['0,bird,1,1,4,4'], ('--classes', 'ant'), "a.csv line 2 has the label 'bird', which is not")])
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


def test_the_tool_checks(folder, monkeypatch, capsys):
    add(folder, 'a', ['0,bird,1,1,4,4'])
    out = folder / 'all.json'
    run_tool(monkeypatch, 'csv-videos', folder, '--out', out)
    assert run_tool(monkeypatch, 'check', out, '--images', folder, '--every-frame') == 0
    printed = capsys.readouterr()
    assert printed.out.endswith('no problems\n') and '1/1' in printed.err
    (folder / 'a.mp4').unlink()
    assert run_tool(monkeypatch, 'check', out) == 1
    assert '1 problem\n  file a.mp4: ' in capsys.readouterr().out


def test_the_tool_reads_mot(tmp_path, monkeypatch, capsys):
    write_images(tmp_path / 'img1', ['1.jpg'])
    (tmp_path / 'gt').mkdir()
    (tmp_path / 'gt' / 'gt.txt').write_text('1,-1,1,1,5,5,1,2,1')
    assert run_tool(monkeypatch, 'mot', tmp_path, '--out', tmp_path / 'all.json', '--classes', 'ant', 'bee',
                    '--origin', '0', '--max-gap', '9') == 0
    assert '  bee: 1 boxes, 1 tracks' in capsys.readouterr().out
    assert json.loads((tmp_path / 'all.json').read_text())['annotations'][0]['bbox'] == [1, 1, 5, 5]


def test_the_tool_reads_cvat(folder, monkeypatch, capsys):
    add(folder, 'a')
    (folder / 'a.xml').write_text('<annotations><track label="bee"><box frame="0" xtl="1" ytl="1" xbr="9" ybr="9"/>'
                                  '</track></annotations>')
    assert run_tool(monkeypatch, 'cvat', folder / 'a.xml', '--videos', folder, '--out', folder / 'all.json',
                    '--classes', 'ant', 'bee') == 0
    assert '  bee: 1 boxes, 1 tracks' in capsys.readouterr().out


def test_the_tool_reads_coco_frames(tmp_path, monkeypatch, capsys):
    write_images(tmp_path, ['cam_1.jpg'])
    (tmp_path / 'coco.json').write_text(json.dumps({
        'images': [{'id': 1, 'file_name': 'cam_1.jpg'}], 'categories': [{'id': 1, 'name': 'bee'}],
        'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 5, 5]}]}))
    assert run_tool(monkeypatch, 'coco-frames', tmp_path / 'coco.json', '--images', tmp_path,
                    '--out', tmp_path / 'all.json', '--max-gap', '9') == 0
    assert '  bee: 1 boxes, 1 tracks' in capsys.readouterr().out


@pytest.mark.parametrize('command', COMMANDS)
def test_flags_are_arguments_of_the_function(command):
    entry = COMMANDS[command]
    names = {flag.options.get('dest', flag.name.lstrip('-').replace('-', '_')) for flag in entry.flags}
    names |= {'progress'} if entry.shows_progress else set()
    assert names <= signature(resolve_name(entry.function)).parameters.keys()


@pytest.mark.parametrize('command', COMMANDS)
def test_the_tool_explains_itself(monkeypatch, capsys, command):
    assert run_tool(monkeypatch, '--help') == run_tool(monkeypatch, command, '--help') == 0
    assert 'python tools/convert_dataset.py synthvid --out data/synthvid' in capsys.readouterr().out


# Real data
