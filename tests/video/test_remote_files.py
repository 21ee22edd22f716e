"""Videos at addresses that fsspec reads."""

import json
import os
from pathlib import Path

import fsspec
import pytest

from tsm_det.datasets.synthetic_vid import make_synthetic_vid
from tsm_det.errors import InputError
from tsm_det.video.connection import is_live_address
from tsm_det.video.remote_files import is_remote, listed, local_copies


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('remote')
    make_synthetic_vid(folder, train_videos=1, val_videos=3, frames_per_video=4)
    return folder / 'val'


@pytest.mark.parametrize('place', [
    '{memory}', '{memory}/*', '{memory}/00*.mp4', 'file://{videos}', 'file://{videos}/*.mp4'])
def test_copies_are_the_videos_and_go_at_the_end(videos, memory, place):
    with local_copies([place.format(memory=memory, videos=videos), 'rtsp://camera/live'], is_live_address) as names:
        *copies, live = names
        assert live == 'rtsp://camera/live'
        assert {Path(path).name: Path(path).read_bytes() for path in copies} == {
            path.name: path.read_bytes() for path in videos.iterdir()}
    assert not any(map(os.path.exists, copies))


def test_a_copy_shows_its_progress(videos, memory, capsys):
    name = min(video.name for video in videos.iterdir())
    with local_copies([f'{memory}/{name}']):
        pass
    err = capsys.readouterr().err
    assert name in err and '100%' in err


def test_a_list_may_name_remote_files(videos, memory, tmp_path):
    name = min(video.name for video in videos.iterdir())
    (tmp_path / 'list.txt').write_text(f'{memory}/{name}\n0  # webcam\n')
    with local_copies([str(tmp_path / 'list.txt')], is_live_address) as (copy, live):
        assert live == '0'
        assert Path(copy).name == name


class Store:
    """A store whose keys are any text."""

    def isdir(self, place):
        return False

    def glob(self, place):
        return [place]

    def unstrip_protocol(self, place):
        return f's3://{place}'

    def get_file(self, place, path, callback):
        Path(path).write_text(place)


@pytest.mark.parametrize('key', ['bucket/../../../a.mp4', '../a.mp4', '/a.mp4', 'bucket/./x//a.mp4'])
def test_a_copy_stays_in_its_folder_whatever_the_key(monkeypatch, tmp_path, key):
    monkeypatch.setattr(fsspec.core, 'url_to_fs', lambda address: (Store(), address.removeprefix('s3://')))
    monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
    with local_copies([f's3://{key}']) as (copy,):
        [folder] = tmp_path.iterdir()
        assert Path(copy).resolve().is_relative_to(folder.resolve())
        assert Path(copy).read_text() == key


def test_remote_and_local_files_in_one_run_are_refused(memory, videos):
    """File names of exports count from the folder that all share."""
    with pytest.raises(InputError, match='street.mp4'), local_copies([memory, 'street.mp4'], is_live_address):
        pass


@pytest.mark.parametrize('name', ['a.mp4', '0', '/dev/video0', 'rtsp://camera/live', 'http://host/a.mp4'])
def test_live_streams_and_local_files_stay(name):
    with local_copies([name], is_live_address) as names:
        assert names == [name]
    assert is_remote(name) == ('://' in name)
    if not is_remote(name):
        assert listed(name) == [name]


@pytest.mark.parametrize(('place', 'fact'), [
    ('memory://nowhere', 'nowhere'), ('nostore://bucket/a.mp4', 'nostore'), ('memory://bucket/notes.txt', 'notes.txt'),
    ('memory://bucket/gone.mp4', 'gone.mp4')])
def test_places_without_videos_get_one_sentence(memory, place, fact):
    with pytest.raises(InputError, match=fact) as error, local_copies([place]):
        pass
    assert '\n' not in str(error.value)


def test_two_videos_of_one_name_are_refused(memory):
    """Their streams would be named after folders of this run, and a second run could not continue them."""
    with pytest.raises(InputError, match=r'detect_videos\.py'), local_copies([memory, f'{memory}/*']):
        pass


def test_the_tool_gives_the_lines_of_the_local_files(videos, run, tmp_path):
    for place in (videos, f'file://{videos}'):
        line = f'detect_video synthvid {place} --json {tmp_path}/lines.jsonl --coco {tmp_path}/coco.json --at-once 1'
        assert run(line)[0] == 0
        content = json.loads((tmp_path / 'coco.json').read_text())
        assert {image['file_name'] for image in content['images']} == {video.name for video in videos.iterdir()}
        lines = [json.loads(line) for line in (tmp_path / 'lines.jsonl').read_text().splitlines()]
        (tmp_path / 'lines.jsonl').rename(tmp_path / f'{"://" in str(place)}.jsonl')
        assert len(lines) == 12
    assert (tmp_path / 'True.jsonl').read_bytes() == (tmp_path / 'False.jsonl').read_bytes()
