"""Recordings one by one, without Ray: names, places, attempts and the manifest."""

import json
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch

from tsm_det.errors import InputError
from tsm_det.fleet import recordings
from tsm_det.fleet.manifest import Manifest
from tsm_det.fleet.recordings import Job, clean_up, detect_recording, find_recordings
from tsm_det.published import published


@pytest.fixture(scope='module')
def detector():
    return Job('', *published('synthvid')).detector()


def test_names_are_paths_from_the_shared_folder(videos, tmp_path):
    shutil.copytree(videos, tmp_path / 'a' / 'b')
    shutil.copytree(videos, tmp_path / 'a' / 'c')
    found = find_recordings([str(tmp_path / 'a' / 'b'), str(tmp_path / 'a' / 'c' / '*.mp4')])
    assert sorted(found) == sorted(f'{folder}/{video.name}' for folder in 'bc' for video in videos.iterdir())
    assert all(Path(path).samefile(tmp_path / 'a' / name) for name, path in found.items())


@pytest.mark.parametrize('place', ['{memory}', 'file://{videos}/*.mp4'])
def test_addresses_hold_the_same_videos(videos, memory, place):
    found = find_recordings([place.format(memory=memory, videos=videos)])
    assert sorted(found) == sorted(video.name for video in videos.iterdir())
    assert all('://' in address for address in found.values())


def test_recordings_on_a_web_server_are_copied_too(detector, job, videos, expected):
    """Not read like a camera, which an http:// address is to detect_video.py."""
    pytest.importorskip('aiohttp', reason="fsspec's package for http")
    name = min(expected)
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(SimpleHTTPRequestHandler, directory=videos)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            [(found, address)] = find_recordings([f'http://127.0.0.1:{server.server_port}/{name}']).items()
            row = detect_recording(detector, job, found, address)
        finally:
            server.shutdown()
            thread.join()
    assert row['status'] == 'done', row
    assert Path(job.out, f'{name}.jsonl').read_bytes() == expected[name]


def test_an_address_that_vanished_is_a_failed_row(detector, job):
    row = detect_recording(detector, job, 'a.mp4', 'memory://gone/a.mp4')
    assert row['status'] == 'failed' and 'gone/a.mp4' in row['error']


def test_an_error_of_the_detector_is_a_failed_row_and_the_next_recording_is_detected(
        detector, job, videos, expected, monkeypatch):
    first, second, *_ = sorted(expected)
    with monkeypatch.context() as patched:
        patched.setattr(detector, 'detect_batch', lambda *_: torch.ones(2) @ torch.ones(3))
        row = detect_recording(detector, job, first, str(videos / first))
    assert row['status'] == 'failed' and 'RuntimeError' in row['error']
    assert detect_recording(detector, job, second, str(videos / second))['status'] == 'done'
    assert Path(job.out, f'{second}.jsonl').read_bytes() == expected[second]


def test_an_address_gives_the_lines_of_the_file(detector, job, memory, expected):
    name = min(expected)
    assert detect_recording(detector, job, name, f'{memory}/{name}')['status'] == 'done'
    assert Path(job.out, f'{name}.jsonl').read_bytes() == expected[name]


class Killed(BaseException):
    """Ends a process between two batches."""


@pytest.mark.parametrize('batches', [3, 5, 12, 39])
def test_an_attempt_that_was_killed_is_continued(detector, job, videos, expected, monkeypatch, batches):
    """Killed: nothing is written after the last state, not even that on the way out."""
    name, calls = min(expected), iter(range(1000))
    in_flight = 4  # batches that are detected but not yet written when a run ends
    detect_batch = detector.detect_batch

    def detect_until_killed(*args):
        if next(calls) == batches:
            monkeypatch.setattr('tsm_det.streams.progress.write_state', lambda *_: None)
            raise Killed
        return detect_batch(*args)

    monkeypatch.setattr(detector, 'detect_batch', detect_until_killed)
    with pytest.raises(Killed):
        detect_recording(detector, job, name, str(videos / name))
    monkeypatch.undo()
    repeated = []
    monkeypatch.setattr(detector, 'detect_batch', lambda *args: repeated.append(1) or detect_batch(*args))
    row = detect_recording(detector, job, name, str(videos / name))
    assert (row['status'], row['frames']) == ('done', 40)
    assert len(repeated) <= 40 - batches + job.save_every + in_flight
    again = detect_recording(detector, job, name, str(videos / name))  # its row did not arrive
    assert (again['status'], again['frames']) == ('done', 40)
    assert len(repeated) <= 40 - batches + job.save_every + in_flight, 'no frame is detected again'
    clean_up(job, name)
    assert Path(job.out, f'{name}.jsonl').read_bytes() == expected[name]
    assert [path.name for path in Path(job.out).iterdir()] == [f'{name}.jsonl']


def test_all_formats_lie_beside_the_lines(detector, job, videos):
    name = min(video.name for video in videos.iterdir())
    job = job._replace(formats=tuple(recordings.FORMATS), tracker='sort')
    assert detect_recording(job.detector(), job, name, str(videos / name))['status'] == 'done'
    clean_up(job, name)
    assert sorted(path.name for path in Path(job.out).iterdir()) == sorted(
        [f'{name}.jsonl', *(f'{name}{end}' for end in recordings.FORMATS.values())])


def test_the_tool_offers_all_formats(run):
    status, out, _ = run('detect_videos --help')
    assert status == 0
    assert '{' + ','.join(recordings.FORMATS) + '}' in out


def test_the_manifest_keeps_what_is_done(tmp_path):
    manifest = Manifest(str(tmp_path))
    manifest.start()
    for name, status in (('a', 'done'), ('b', 'failed'), ('c', 'done')):
        manifest.add({'name': name, 'status': status})
    with manifest.path.open('a') as file:
        file.write('{"name": "d", "sta')  # killed
    again = Manifest(str(tmp_path))
    assert list(again.done) == ['a', 'c']
    again.start()
    assert [json.loads(line)['name'] for line in again.path.read_text().splitlines()] == ['a', 'c']
    assert Manifest(str(tmp_path), (2, 3)).done == {}


@pytest.mark.parametrize('content', ['[]\n', '{}\n', 'no JSON\n', '{"name": "a"}\n'])
def test_another_file_is_not_taken_for_a_manifest(tmp_path, content):
    (tmp_path / 'manifest.jsonl').write_text(content)
    with pytest.raises(InputError, match=r'manifest\.jsonl'):
        Manifest(str(tmp_path))
