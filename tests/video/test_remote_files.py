"""Videos at addresses that fsspec reads."""

import json
from pathlib import Path

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
    with local_copies([place.format(memory=memory, videos=videos), 'street.mp4']) as (folder, local):
        assert local == 'street.mp4'
        assert {path.name: path.read_bytes() for path in Path(folder).iterdir()} == {
            path.name: path.read_bytes() for path in videos.iterdir()}
    assert not Path(folder).exists()


def test_a_copy_shows_its_progress(videos, memory, capsys):
    name = min(video.name for video in videos.iterdir())
    with local_copies([f'{memory}/{name}']):
        pass
    err = capsys.readouterr().err
    assert name in err and '100%' in err


def test_a_list_may_name_remote_files(videos, memory, tmp_path):
    name = min(video.name for video in videos.iterdir())
    (tmp_path / 'list.txt').write_text(f'{memory}/{name}\nstreet.mp4  # local\n')
    with local_copies([str(tmp_path / 'list.txt')]) as (folder, local):
        assert local == 'street.mp4'
        assert [path.name for path in Path(folder).iterdir()] == [name]


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
        assert run(f'detect_video synthvid {place} --json {tmp_path}/lines.jsonl')[0] == 0
        lines = [json.loads(line) for line in (tmp_path / 'lines.jsonl').read_text().splitlines()]
        (tmp_path / 'lines.jsonl').rename(tmp_path / f'{"://" in str(place)}.jsonl')
        assert len(lines) == 12
    assert (tmp_path / 'True.jsonl').read_bytes() == (tmp_path / 'False.jsonl').read_bytes()
