"""A fleet run as a user starts it, on one machine and on two nodes of which one dies."""

import json
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip('ray', reason="needs pip install 'tsm_det[ray]'")
from tests.fleet.two_nodes import two_nodes
from tsm_det.errors import InputError
from tsm_det.fleet.run import run_fleet

pytestmark = pytest.mark.slow


def rows_of(out):
    return [json.loads(line) for line in Path(out, 'manifest.jsonl').read_text().splitlines()]


def lines_of(out):
    return {path.name.removesuffix('.jsonl'): path.read_bytes() for path in Path(out).glob('*.mp4.jsonl')}


def test_a_run_tells_what_failed_and_another_does_the_rest(run, videos, expected, tmp_path):
    folder, out = tmp_path / 'videos', tmp_path / 'out'
    shutil.copytree(videos, folder)
    names = sorted(expected)
    (folder / names[0]).write_bytes(b'broken')
    command = f'detect_videos synthvid {folder} --out {out} --actors 2 --gpus-per-actor 0'
    status, _, err = run(command)
    assert status == 2
    assert f'1 of {len(names)}' in err and names[0] in err and 'Traceback' not in err
    assert lines_of(out) == {name: expected[name] for name in names[1:]}
    [broken] = [row for row in rows_of(out) if row['status'] == 'failed']
    assert broken['name'] == names[0] and names[0] in broken['error']
    done = {path: path.stat().st_mtime_ns for path in out.glob('*.mp4.jsonl')}
    shutil.copy(videos / names[0], folder)
    status, _, err = run(command)
    assert status == 0, err
    assert lines_of(out) == expected
    assert {path: path.stat().st_mtime_ns for path in done} == done, 'what is done is not done again'
    assert sorted((row['name'], row['status'], row['frames']) for row in rows_of(out)) == [
        (name, 'done', 40) for name in names]


def test_a_node_dies_and_no_frame_is_lost_or_twice(job, videos, expected):
    with two_nodes(lambda: list(Path(job.out).glob('*.state'))) as address:
        run_fleet(job, [str(videos)], address)
    assert lines_of(job.out) == expected
    assert sorted(row['name'] for row in rows_of(job.out)) == sorted(expected)
    assert list(Path(job.out).glob('*.state')) == []


def test_shards_share_the_recordings(videos, job, monkeypatch):
    """Without Ray: which recordings each shard hands on."""
    handed = []

    def hand_on(_, left, *__):
        handed.append([*left])
        return [{'name': name, 'video': video, 'status': 'done'} for name, video in left.items()]

    monkeypatch.setattr('tsm_det.fleet.actors.detect_recordings_on_ray', hand_on)
    monkeypatch.setattr('tsm_det.fleet.run.clean_up', lambda *_: None)
    monkeypatch.setattr('tsm_det.fleet.actors.ray.init', lambda *_, **__: None)
    for part in (1, 2, 3):
        run_fleet(job, [str(videos)], shard=(part, 3))
    assert sorted(name for names in handed for name in names) == sorted(video.name for video in videos.iterdir())
    assert [len(names) for names in handed] == [2, 1, 1]


def test_a_name_that_means_another_recording_is_refused(videos, job, tmp_path):
    Path(job.out).mkdir()
    Path(job.out, 'manifest.jsonl').write_text(json.dumps(
        {'name': '000.mp4', 'video': '/another/000.mp4', 'status': 'done'}) + '\n')
    with pytest.raises(InputError, match=r'/another/000\.mp4'):
        run_fleet(job, [str(videos)])


@pytest.mark.parametrize(('words', 'fact'), [
    ('synthvid {videos} --out {out} --shard 3/2', '3/2'), ('synthvid {videos} --out {out} --actors 0', '--actors'),
    ('synthvid {videos} --out {out} --stride 2,3', '--stride'),
    ('synthvid {videos} --out {out} --stride 0', '--stride'),
    ('synthvid {videos} --out {out} --save-every 0', '--save-every'),
    ('synthvid {videos} --out {out} --fill', '--fill'), ('synthvid {videos} --out {out} --score-thr 2', '--score-thr'),
    ('synthvid {videos} --out {out} --ray 127.0.0.1:1', '127.0.0.1:1'),
    ('synthvid {videos} --out {out} --ray auto', '127.0.0.1:2'),
    ('synthvid {videos} --out {videos}/000.mp4', '000.mp4'),
    ('synthvid memory://none --out {out}', 'memory://none'), ('none.py none {videos} --out {out}', 'none.py')])
def test_bad_input_ends_with_status_2_and_one_sentence(run, videos, tmp_path, monkeypatch, words, fact):
    monkeypatch.setenv('RAY_ADDRESS', '127.0.0.1:2')  # or auto would find a cluster of another test
    status, _, err = run('detect_videos ' + words.format(videos=videos, out=tmp_path / 'out'))
    assert status == 2
    assert fact in err.strip().splitlines()[-1] and 'Traceback' not in err


def test_without_ray_the_package_to_install_is_named(job, videos, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tsm_det.fleet.actors', None)
    with pytest.raises(InputError, match=r'tsm_det\[ray\]'):
        run_fleet(job, [str(videos)])
