"""Cameras of a fleet: their file, a group of them, and on Ray one whose detector dies."""

import json
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

pytest.importorskip('ray', reason="needs pip install 'tsm_det[ray]'")
from tests.soak.servers import Send, mjpeg_camera
from tests.streams.test_metrics import scraped
from tests.waiting import eventually
from tsm_det.errors import InputError
from tsm_det.fleet.camera_groups import read_cameras, watch_cameras
from tsm_det.fleet.run import run_cameras
from tsm_det.sealed import check_intact

ROOT = Path(__file__).parents[2]
DEAD = 'http://127.0.0.1:1/live'


def lines_of(path):
    """The complete lines of a file that grows."""
    text = path.read_text() if path.exists() else ''
    return [json.loads(line) for line in text[:text.rfind('\n') + 1].splitlines()]


def test_names_and_addresses_are_text(tmp_path, monkeypatch):
    """YAML would make a number of 0, and true of yes."""
    (tmp_path / 'cameras.yaml').write_text('gate: 0\nyes: rtsp://me:secret@yard/live   # behind the house\n'
                                           'Tür_2: "./a.mp4"\n')
    monkeypatch.chdir(tmp_path)
    assert read_cameras('cameras.yaml') == {
        'gate': '0', 'yes': 'rtsp://me:secret@yard/live', 'Tür_2': str(tmp_path / 'a.mp4')}


@pytest.mark.parametrize(('text', 'fact'), [
    ('', 'no camera'), ('{}', 'no camera'), ('- gate\n', 'no camera'), ('gate', 'no camera'), ('a: [', 'line'),
    ('gate: 0\ngate: 1', 'gate'), ('../gate: 0', "'../gate'"), ('a/b: 0', "'a/b'"), ('.: 0', "'.'"), ('"": 0', "''"),
    ('gate:', 'gate'), ('gate: [0, 1]', 'gate'), ('? [a]\n: 0', 'letters'), (b'\xff', 'cameras.yaml')])
def test_a_wrong_file_gets_one_sentence_and_nothing_is_written(run, tmp_path, text, fact):
    (tmp_path / 'cameras.yaml').write_bytes(text if isinstance(text, bytes) else text.encode())
    status, _, err = run(f'detect_videos synthvid --live {tmp_path}/cameras.yaml --out {tmp_path}/out')
    assert status == 2
    assert fact in err.strip() and 'cameras.yaml' in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('words', ['none.yaml', '{cameras} a.mp4', '{cameras} --write csv', '{cameras} --stride 2,3'])
def test_what_does_not_go_with_cameras_is_refused(run, tmp_path, words):
    (tmp_path / 'cameras.yaml').write_text('gate: 0\n')
    words = words.format(cameras=f'{tmp_path}/cameras.yaml')
    status, _, err = run(f'detect_videos synthvid --out {tmp_path}/out --live {words}')
    assert status == 2 and len(err.strip().splitlines()) == 1
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('address', [DEAD, 'nowhere.mp4', 'htp://a/b'])
def test_a_camera_that_does_not_answer_is_named(job, tmp_path, address):
    with pytest.raises(InputError, match='gate'):
        watch_cameras(job, {'gate': address}, '127.0.0.1')
    assert not list(tmp_path.rglob('*.jsonl'))


def test_cameras_that_were_interrupted_continue_in_other_groups(job, videos, monkeypatch):
    """Files in place of cameras: each frame once, whoever is watched together."""
    cameras = {name: str(videos / f'00{k}.mp4') for k, name in enumerate('abc')}

    class Interrupted(Exception):
        pass

    def interrupt(frame, _):
        if frame.frame_id == 7:
            raise Interrupted

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr('tsm_det.fleet.camera_groups.StreamMetrics.__call__', lambda _, *frame: interrupt(*frame))
        watch_cameras(job, cameras, '127.0.0.1')
    before = {name: Path(job.out, f'{name}.jsonl').read_text() for name in cameras}
    assert sum(watch_cameras(job, {name: cameras[name] for name in group}, '127.0.0.1') for group in ('ca', 'b')) > 90
    for name in cameras:
        text = Path(job.out, f'{name}.jsonl').read_text()
        assert text.startswith(before[name])
        assert [(line['frame_id'], line['stream'], line['reset']) for line in map(json.loads, text.splitlines())] == [
            (k, name, None if k else 'new') for k in range(40)]
    assert list(Path(job.out, 'prometheus').iterdir()) == []


def test_more_detectors_than_fit_are_refused(job, videos, monkeypatch):
    (videos.parent / 'cameras.yaml').write_text(f'a: {videos}/000.mp4\nb: {videos}/001.mp4\n')
    monkeypatch.setattr('tsm_det.fleet.actors.ray.init', lambda *_, **__: None)
    monkeypatch.setattr('tsm_det.fleet.actors.ray.cluster_resources', lambda: {'CPU': 1.0})
    for keys in (dict(actors=2), dict(gpus_per_actor=0.5)):
        with pytest.raises(InputError, match='room for [01]'):
            run_cameras(job, [str(videos.parent / 'cameras.yaml')], **keys)


@pytest.mark.slow
def test_a_run_of_a_camera_that_does_not_answer_ends_with_its_name(run, tmp_path):
    (tmp_path / 'cameras.yaml').write_text(f'gate: {DEAD}\n')
    status, _, err = run(f'detect_videos synthvid --live {tmp_path}/cameras.yaml --out {tmp_path}/out --actors 1')
    assert status == 2
    assert 'gate' in err.strip().splitlines()[-1] and DEAD in err and 'Traceback' not in err


@pytest.mark.slow
def test_a_detector_dies_its_camera_goes_on_and_ctrl_c_ends_all(videos, video_frame, tmp_path):
    out, listed = tmp_path / 'out', tmp_path / 'cameras.yaml'
    gate, yard, log = out / 'gate.jsonl', out / 'yard.jsonl', tmp_path / 'log'
    endless = [[Send(10**6, 5)]] * 3
    with mjpeg_camera(endless, video_frame) as (_, first), mjpeg_camera(endless, video_frame) as (_, second):
        listed.write_text(f'gate: {first}\nyard: {second}\n')
        process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', 'tools/detect_videos.py', 'synthvid', '--live', str(listed), '--out',
             str(out), '--actors', '2', '--save-every', '5', '--max-gap', '40'], cwd=ROOT, stderr=log.open('wb'),
            start_new_session=True)
        try:
            eventually(lambda: len(lines_of(gate)) > 12 and len(lines_of(yard)) > 12, 300)
            port = int(Path(out, 'prometheus', 'gate.yml').read_text().split('"')[1].rpartition(':')[2])
            [detector] = [child for child in psutil.Process(process.pid).children(recursive=True)
                          if any(link.laddr.port == port for link in child.net_connections())]
            detector.kill()
            detector.wait(60)
            check_intact(out / 'gate.state', sealed=True)
            before = lines_of(gate)
            eventually(lambda: lines_of(gate)[-1]['frame_id'] > before[-1]['frame_id'] + 30, 300)
            numbers, after = scraped(out / 'prometheus' / 'gate.yml'), lines_of(gate)
            process.send_signal(signal.SIGINT)
            assert process.wait(300) == 130, log.read_text()
        finally:
            process.kill()
    ids = [line['frame_id'] for line in after]
    [cut] = [k for k, (a, b) in enumerate(pairwise(ids), 1) if b > before[-1]['frame_id'] >= a]
    assert after[:cut] == before[:cut], 'no line of before the last state is lost'
    assert cut >= len(before) - 2 * 5
    assert ids == sorted(set(ids))
    assert [(line['frame_id'], line['reset']) for line in after if line['reset']] == [(ids[0], 'new'), *(
        (b, 'gap') for a, b in pairwise(ids) if b - a > 40)]
    assert 0 < numbers['tsm_det_frames_total', 'gate'] <= len(after) - cut
    assert [line['frame_id'] for line in lines_of(gate)][:len(ids)] == ids, 'Ctrl-C loses no line'
    assert list((out / 'prometheus').iterdir()) == []
