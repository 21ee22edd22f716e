"""Runs with track ids, predicted boxes, strides per source, and exports."""

import json

import cv2
import numpy as np
import pytest

from tests.streams.test_detect_sources import interrupt_after, num_frames
from tests.streams.test_tracking import LOW, still
from tsm_det.errors import InputError
from tsm_det.streams.detect_sources import detect_sources, open_sources
from tsm_det.streams.detections import Selection
from tsm_det.video.exports import Exports


@pytest.fixture
def videos(tmp_path):
    """Two folders of pictures, 9 and 5 of them, in which boxes stay where they are."""
    for seed, (name, n) in enumerate((('east', 9), ('west', 5))):
        (tmp_path / name).mkdir()
        for k, image in enumerate(still(n, seed)):
            cv2.imwrite(str(tmp_path / name / f'{k}.png'), image)
    return [str(tmp_path / name) for name in ('east', 'west')]


def run(detector, names, folder, **keys):
    """The lines of a run over these sources."""
    detect_sources(detector, open_sources(names), json_lines=str(folder / 'lines.jsonl'), score_thr=0, **keys)
    return [json.loads(line) for line in (folder / 'lines.jsonl').read_text().splitlines()]


def ids_of(line):
    return [box.get('track_id') for box in line['detections']]


@pytest.mark.parametrize('name', LOW)
@pytest.mark.parametrize(('stride', 'fill'), [(1, False), (2, False), (3, True)])
def test_a_resumed_run_equals_an_uninterrupted_one(make_detector, videos, tmp_path, name, stride, fill):
    (tmp_path / 'whole').mkdir()
    keys, state = dict(stride=stride, fill=fill), str(tmp_path / 'state.pt')
    whole = run(make_detector(tracker=LOW[name]), videos, tmp_path / 'whole', **keys)
    assert any(filter(None, ids_of(whole[-1]))), 'something is tracked'
    run(make_detector(tracker=LOW[name]), videos, tmp_path, max_frames=2, save_state=state, **keys)
    assert run(make_detector(tracker=LOW[name]), videos, tmp_path, resume_state=state, **keys) == whole


def test_tracks_fill_the_frames_between(make_detector, videos, tmp_path):
    tracker = LOW['bytetrack']
    filled = run(make_detector(tracker=tracker), videos[:1], tmp_path, stride=3, fill=True, out=str(tmp_path / 'o.mp4'))
    assert [line['frame_id'] for line in filled] == list(range(9))
    assert num_frames(tmp_path / 'o.mp4') == 9
    detected = run(make_detector(tracker=tracker), videos[:1], tmp_path, stride=3)
    assert filled[::3] == detected, 'filling changes no detected frame'
    for k, line in enumerate(filled):
        if k % 3:
            assert all(box['predicted'] for box in line['detections'])
            assert set(ids_of(line)) == set(ids_of(filled[k - k % 3])) - {None}
            corners = np.array([box['bbox'] for box in line['detections']])
            assert len(corners) and corners.min() >= 0 and corners.max() <= 128


def test_each_source_has_its_own_stride(make_detector, videos, tmp_path):
    lines = run(make_detector(), videos, tmp_path, stride=[4, 2])
    assert [line['frame_id'] for line in lines if line['stream'] == 'east'] == [0, 4, 8]
    assert [line['frame_id'] for line in lines if line['stream'] == 'west'] == [0, 2, 4]


@pytest.mark.parametrize(('keys', 'fact'), [
    (dict(fill=True), '--track'), (dict(stride=[2]), '1 numbers for 2 sources'), (dict(stride=[2, 0]), '--stride is 0'),
    (dict(selection=Selection(classes=['e'])), "'e' .* a, b, c, d"), (dict(exports=Exports(cvat='all.xml')), '--cvat'),
    (dict(selection=Selection(class_thrs={'f': 0.5})), "'f'"), (dict(selection=Selection(class_thrs={'a': 2})), 'a '),
    (dict(selection=Selection(min_size=-1)), '--min-size is -1')])
def test_options_that_do_not_fit_are_refused_before_anything_is_written(make_detector, videos, tmp_path, keys, fact):
    with pytest.raises(InputError, match=fact):
        run(make_detector(), videos, tmp_path, **keys)
    assert not (tmp_path / 'lines.jsonl').exists()


def test_filled_frames_are_not_continued_without_filling(make_detector, videos, tmp_path):
    state, detector = str(tmp_path / 'state.pt'), make_detector(tracker=LOW['sort'])
    run(detector, videos, tmp_path, stride=2, fill=True, max_frames=2, save_state=state)
    with pytest.raises(InputError, match='--fill'):
        run(detector, videos, tmp_path, stride=2, resume_state=state)


def test_ctrl_c_leaves_complete_exports_to_resume_from(make_detector, videos, tmp_path, monkeypatch):
    def contents(name):
        return {path.relative_to(tmp_path / name).as_posix(): path.read_bytes()
                for path in (tmp_path / name).rglob('*') if path.is_file() and path.suffix != '.pt'}

    def go(name, **keys):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return run(make_detector(tracker=LOW['ocsort']), videos, folder, exports=Exports(
            f'{folder}/mot', f'{folder}/coco.json', f'{folder}/t.csv', f'{folder}/cvat/'), **keys)
    go('whole', save_state=str(tmp_path / 'whole' / 'state.pt'))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        interrupt_after(patched, lines=5)
        go('cut', save_state=str(tmp_path / 'cut' / 'state.pt'))
    assert contents('cut').keys() == contents('whole').keys()
    assert len(json.loads(contents('cut')['coco.json'])['images']) == 5
    go('cut', resume_state=str(tmp_path / 'cut' / 'state.pt'))
    assert contents('cut') == contents('whole')


def test_a_refused_export_leaves_the_lines_of_the_run_to_resume(make_detector, videos, tmp_path):
    def contents():
        return {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    state, exports = str(tmp_path / 'state.pt'), Exports(csv=str(tmp_path / 'table.csv'))
    run(make_detector(), videos, tmp_path, max_frames=2, save_state=state)
    run(make_detector(), videos, tmp_path, exports=exports)
    before = contents()
    with pytest.raises(InputError, match='name another file'):
        run(make_detector(), videos, tmp_path, resume_state=state, exports=exports)
    assert contents() == before


@pytest.mark.parametrize('option', ['coco', 'csv', 'cvat'])
def test_no_export_is_written_over_a_source(make_detector, video_file, tmp_path, option):
    path, link = video_file('road.mp4', n=3), tmp_path / 'link.xml'
    link.symlink_to(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match='is an input'):
        detect_sources(make_detector(), open_sources([str(path)]), exports=Exports(**{option: str(link)}))
    assert path.read_bytes() == before


@pytest.mark.parametrize('option', ['mot', 'cvat'])
def test_no_file_per_source_is_written_beside_its_source(make_detector, video_file, tmp_path, option):
    """NAME.txt or NAME.xml there may be labels."""
    path = video_file('road.mp4', n=3)
    with pytest.raises(InputError, match=f'--{option} is {tmp_path}'):
        detect_sources(make_detector(), open_sources([str(path)]), exports=Exports(**{option: str(tmp_path)}))
    assert [one.name for one in tmp_path.iterdir()] == ['road.mp4']


def test_rows_of_a_source_do_not_take_the_name_of_the_file_of_classes(make_detector, video_file, tmp_path):
    source = open_sources([str(video_file('labels.mp4', n=3))])
    with pytest.raises(InputError, match='labels.txt'):
        detect_sources(make_detector(), source, exports=Exports(mot=str(tmp_path / 'rows')))
    assert [one.name for one in tmp_path.iterdir()] == ['labels.mp4']
