"""A resumed run continues the right sources at the right frames, without losing or overwriting results."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tsm_det.errors import InputError
from tsm_det.streams import progress as module
from tsm_det.streams.detect_sources import detect_sources, open_sources
from tsm_det.streams.progress import first_frames
from tsm_det.streams.state_file import Position
from tsm_det.video.cameras import StreamFrame


def run(detector, sources, folder, **keys):
    """The lines that a run writes."""
    sources = sources if not isinstance(sources[0], str) else open_sources(sources)
    detect_sources(detector, sources, json_lines=str(folder / 'lines.jsonl'), score_thr=0, **keys)
    return [json.loads(line) for line in (folder / 'lines.jsonl').read_text().splitlines()]


@pytest.fixture
def videos(video_file):
    return [str(video_file(f'{name}.mp4', n=n)) for name, n in (('east', 9), ('west', 6))]


def test_a_stream_without_a_state_is_resumed_too(make_detector, videos, tmp_path, monkeypatch):
    """As when its state was not finite at the end of the run."""
    state = str(tmp_path / 'state.pt')
    detector = make_detector()
    held = detector.bank.held
    monkeypatch.setattr(detector.bank, 'held', lambda: [one for one in held() if one.stream_id != 'west.mp4'])
    before = run(detector, videos, tmp_path, max_frames=3, save_state=state)
    lines = run(make_detector(), videos, tmp_path, resume_state=state)
    assert lines[:6] == before
    for name, n in (('east.mp4', 9), ('west.mp4', 6)):
        assert [line['frame_id'] for line in lines if line['stream'] == name] == list(range(n))
    assert [line['frame_id'] for line in lines if line['reset'] and line['stream'] == 'west.mp4'] == [0, 3]


def test_some_of_the_sources_are_resumed_with_a_smaller_capacity(make_detector, videos, tmp_path):
    state = str(tmp_path / 'state.pt')
    run(make_detector(capacity=2), videos, tmp_path, max_frames=3, save_state=state)
    for capacity, left in ((1, ['east.mp4']), (2, ['west.mp4', 'east.mp4'])):
        detector = make_detector(capacity=capacity)
        lines = run(detector, videos[:1], tmp_path, max_frames=1, resume_state=state,
                    save_state=str(tmp_path / 'other'))
        assert [line['reset'] for line in lines[6:]] == [None]
        assert detector.bank.stream_ids() == left


def test_a_resumed_run_saves_where_it_began(make_detector, videos, tmp_path):
    state = str(tmp_path / 'state.pt')
    run(make_detector(), videos[:1], tmp_path, max_frames=2, save_state=state)
    numbers = [len(run(make_detector(), videos[:1], tmp_path, max_frames=2, resume_state=state)) for _ in range(3)]
    assert numbers == [4, 6, 8]


def test_in_a_folder_each_source_has_its_lines_and_its_state(make_detector, videos, tmp_path):
    """And continues with whichever others; one without a state starts over."""
    def run_into(name, videos, **keys):
        folder = f'{tmp_path}/{name}/'
        detect_sources(make_detector(), open_sources(videos), None, folder, 0, resume_state=folder, **keys)
        return {path.stem: path.read_text().splitlines() for path in Path(folder).glob('*.jsonl')}

    def steps(lines):  # of equal numbers only in equal batches
        return [(line['stream'], line['frame_id'], line['reset']) for line in map(json.loads, lines)]

    before = run_into('cut', videos, max_frames=3)
    assert sorted(path.name for path in Path(tmp_path, 'cut').iterdir()) == [
        'east.jsonl', 'east.state', 'west.jsonl', 'west.state']
    east = run_into('cut', videos[:1])['east']
    assert east[:3] == before['east']
    assert steps(east) == [('east.mp4', k, None if k else 'new') for k in range(9)]
    Path(tmp_path, 'cut', 'west.state').unlink()
    lines = run_into('cut', videos)
    assert lines['east'] == east
    assert steps(lines['west']) == [('west.mp4', k, None if k else 'new') for k in range(6)]


def test_another_video_of_the_same_name_is_refused(make_detector, videos, video_file, tmp_path):
    state = str(tmp_path / 'state.pt')
    before = run(make_detector(), videos[:1], tmp_path, max_frames=2, save_state=state)
    video_file('east.mp4', n=7)
    with pytest.raises(InputError, match='east.mp4 has 7 frames but had 9 when .*state.pt'):
        run(make_detector(), videos[:1], tmp_path, resume_state=state)
    assert len((tmp_path / 'lines.jsonl').read_text().splitlines()) == len(before)


def test_another_stride_is_refused(make_detector, videos, tmp_path):
    """The frames of a state are one stride apart."""
    state = str(tmp_path / 'state.pt')
    before = run(make_detector(), videos, tmp_path, max_frames=2, stride=2, save_state=state)
    with pytest.raises(InputError, match='--stride is 1 but .*state.pt was saved with 2'):
        run(make_detector(), videos, tmp_path, resume_state=state)
    assert len((tmp_path / 'lines.jsonl').read_text().splitlines()) == len(before)
    assert [line['frame_id'] for line in run(make_detector(), videos, tmp_path, stride=2, resume_state=state)
            if line['stream'] == 'east.mp4'] == [0, 2, 4, 6, 8]


def test_a_camera_skips_the_downtime_and_a_recording_does_not(monkeypatch):
    monkeypatch.setattr(module.time, 'time', lambda: 1012.0)
    sources = [SimpleNamespace(name='camera', fps=25.0, is_recorded=False), SimpleNamespace(
        name='video', fps=25.0, is_recorded=True), SimpleNamespace(name='new', fps=25.0, is_recorded=False)]
    positions = {name: Position(10, None, 2, 1002.0) for name in ('camera', 'video')}
    assert first_frames(positions, sources, {'camera': 2, 'video': 2}) == {'camera': 12 + 250, 'video': 12}


def test_the_downtime_is_counted_at_the_rate_so_far_whatever_rate_the_camera_states(monkeypatch):
    monkeypatch.setattr(module.time, 'time', lambda: 1012.0)
    camera = SimpleNamespace(name='camera', fps=25.0, is_recorded=False)
    position = Position(159, None, 1, 1002.0, time_s=31.8)
    assert first_frames({'camera': position}, [camera], {'camera': 1}) == {'camera': 160 + 50}


def test_the_downtime_of_a_live_source_is_a_gap(make_detector, tmp_path, monkeypatch):
    class Camera:
        name, fps, num_frames, files, is_live, is_recorded = 'camera', 10.0, None, (), True, False

        def frames(self, start=0, stride=1):
            return (StreamFrame(self.name, k, k / 10, np.full((128, 128, 3), k - start, np.uint8))
                    for k in range(start, start + 3))
    state = str(tmp_path / 'state.pt')
    monkeypatch.setattr(module.time, 'time', lambda: 100.0)
    run(make_detector(max_gap=5), [Camera()], tmp_path, save_state=state)
    monkeypatch.setattr(module.time, 'time', lambda: 110.0)
    lines = run(make_detector(max_gap=5), [Camera()], tmp_path, resume_state=state)
    assert [(line['frame_id'], line['reset']) for line in lines] == [
        (0, 'new'), (1, None), (2, None), (103, 'gap'), (104, None), (105, None)]


@pytest.mark.parametrize('change', [
    lambda detector: detector.model.rpn_head.rpn_cls.bias.data.add_(1),
    lambda detector: setattr(detector.model.backbone, 'shift_div', 4),
    lambda detector: setattr(detector.model.neck, 'sites', (0,)),
    lambda detector: setattr(detector.model.neck, 'shift_at', 'inner'),
    lambda detector: setattr(detector.pipeline.transforms[0].transforms.transforms[1], 'scale', (64, 64))])
def test_a_state_of_another_configuration_is_refused_before_lines_are_removed(make_detector, videos, tmp_path, change):
    state = str(tmp_path / 'state.pt')
    before = run(make_detector(), videos[:1], tmp_path, max_frames=3, save_state=state)
    other = make_detector()
    change(other)
    with pytest.raises(InputError, match='other weights, shift, pipeline or engine'):
        run(other, videos[:1], tmp_path, resume_state=state)
    assert len((tmp_path / 'lines.jsonl').read_text().splitlines()) == len(before)


@pytest.mark.parametrize('flags', [
    dict(out='east.mp4'), dict(json_lines='east.mp4'), dict(save_state='east.mp4'), dict(out='./sub/../east.mp4'),
    dict(json_lines='frames/1.png'), dict(json_lines='same', save_state='same'), dict(json_lines='link.mp4'),
    dict(json_lines='hard_link.jsonl')])
def test_no_output_is_written_over_a_source_or_another(
        make_detector, videos, tmp_path, video_frame, monkeypatch, flags):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'frames').mkdir()
    cv2.imwrite('frames/1.png', video_frame(1, 96, 128))
    (tmp_path / 'sub').mkdir()
    (tmp_path / 'link.mp4').symlink_to('east.mp4')
    (tmp_path / 'hard_link.jsonl').hardlink_to('east.mp4')
    name = 'frames' if 'frames' in str(flags) else 'east.mp4'
    before = {path: path.read_bytes() for path in tmp_path.rglob('*.*') if path.is_file()}
    with pytest.raises(InputError, match='is (an input|another output)'):
        detect_sources(make_detector(), open_sources([name]), **flags)
    assert {path: path.read_bytes() for path in tmp_path.rglob('*.*') if path.is_file()} == before


def test_a_folder_of_videos_is_not_written_into_itself(make_detector, videos, tmp_path):
    before = [Path(path).read_bytes() for path in videos]
    with pytest.raises(InputError, match=r'east.mp4 is an input'):
        detect_sources(make_detector(), open_sources(videos), out=str(tmp_path))
    assert [Path(path).read_bytes() for path in videos] == before


def test_a_clock_that_was_set_back_makes_no_camera_go_back(monkeypatch):
    camera = SimpleNamespace(name='gate', is_recorded=False, fps=25.0)
    for moved, first in ((4.0, 101 + 100), (-3600.0, 101)):
        monkeypatch.setattr('time.time', lambda moved=moved: 1000.0 + moved)
        assert first_frames({'gate': Position(100, None, 1, 1000.0)}, [camera], {'gate': 1}) == {'gate': first}


def test_another_recording_of_the_same_name_and_length_is_refused(make_detector, video_file, tmp_path):
    path = str(video_file('gate.mp4', n=9))
    state = str(tmp_path / 'state.pt')
    before = run(make_detector(), [path], tmp_path, max_frames=4, save_state=state)
    content = Path(path).read_bytes()
    assert len(run(make_detector(), [path], tmp_path, max_frames=1, resume_state=state)) == len(before) + 1
    assert video_file('other.mp4', n=9, crf='40').read_bytes() != content
    os.replace(tmp_path / 'other.mp4', path)
    lines = (tmp_path / 'lines.jsonl').read_text()
    with pytest.raises(InputError, match=r'gate\.mp4 is another recording'):
        run(make_detector(), [path], tmp_path, resume_state=state)
    assert (tmp_path / 'lines.jsonl').read_text() == lines
