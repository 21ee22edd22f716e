"""Recorded sources: times in every output, folders in and out, a bounded number open at a time."""

import json
import os
import shutil
from itertools import accumulate

import av
import pytest

from tests.open_files import needs_proc, open_files
from tsm_det.errors import InputError
from tsm_det.streams.detect_sources import detect_sources, open_sources
from tsm_det.video.connection import CameraSettings
from tsm_det.video.outputs import Outputs
from tsm_det.video.video_file import VideoFile

DARKER = list(accumulate([1] * 6 + [5] * 5, initial=0))


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def shown_s(path):
    """When each frame is shown, and until when the last one is, by another reader than ours."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [float(frame.pts * frame.time_base) for frame in container.decode(stream)], float(
            stream.duration * stream.time_base)


@pytest.fixture
def folder(video_file, tmp_path):
    """Videos 1, 2, 10 of 3, 2 and 4 frames."""
    (tmp_path / 'clips').mkdir()
    for name, n in (('1.mp4', 3), ('2.mp4', 2), ('10.mp4', 4)):
        shutil.move(video_file(name, n=n, height=128, width=128), tmp_path / 'clips')
    return tmp_path / 'clips'


@pytest.mark.parametrize('stride', [1, 3])
@pytest.mark.parametrize('name', ['video.mp4', 'video.ts'])
def test_a_varying_rate_is_kept_in_the_lines_and_in_the_video(make_detector, video_file, tmp_path, name, stride):
    path = video_file(name, n=12, height=128, width=128, stamps=DARKER)
    detect_sources(make_detector(), open_sources([str(path)]), str(tmp_path / 'o.mp4'), str(tmp_path / 'l.jsonl'),
                   stride=stride)
    expected = [k / 25 for k in DARKER[::stride]]
    assert [line['time_s'] for line in lines_of(tmp_path / 'l.jsonl')] == pytest.approx(expected, abs=1e-4)
    starts, end = shown_s(tmp_path / 'o.mp4')
    assert starts == pytest.approx(expected, abs=1e-3)
    mean = (expected[-1] - expected[0]) / (len(expected) - 1)
    assert end == pytest.approx(expected[-1] + mean, rel=0.1)


def test_a_joined_recording_is_drawn_at_its_rate(make_detector, video_file, tmp_path):
    parts = [video_file(f'{k}.ts', n=6, height=128, width=128).read_bytes() for k in range(2)]
    (tmp_path / 'joined.ts').write_bytes(b''.join(parts))
    detect_sources(make_detector(), open_sources([str(tmp_path / 'joined.ts')]), str(tmp_path / 'o.mp4'))
    starts, end = shown_s(tmp_path / 'o.mp4')
    assert [*starts, end] == pytest.approx([k / 25 for k in range(13)], abs=1e-3)


@pytest.mark.parametrize('is_there', [False, True])
def test_one_source_may_have_a_folder_for_its_video(make_detector, folder, tmp_path, is_there):
    out = f'{tmp_path}/drawn.mp4/'
    if is_there:
        os.mkdir(out)
        out = out[:-1]
    detect_sources(make_detector(), open_sources([str(folder / '1.mp4')]), out)
    assert os.listdir(out) == ['1.mp4']
    assert len(VideoFile(f'{out}/1.mp4')) == 3


def test_a_folder_of_sources_is_not_overwritten(make_detector, folder):
    with pytest.raises(InputError, match=r'1\.mp4 is an input'):
        detect_sources(make_detector(), open_sources([str(folder / '1.mp4')]), str(folder))
    with pytest.raises(InputError, match=r'--out is drawn but 1 source'):
        detect_sources(make_detector(), open_sources([str(folder / '1.mp4')]), 'drawn')


@pytest.mark.parametrize('place', ['{}', '{}/*.mp4', '{}.txt'])
def test_the_videos_of_a_folder_run_one_after_another(make_detector, folder, tmp_path, monkeypatch, place):
    (tmp_path / 'clips.txt').write_text(f'# all of them\n{folder}\n')
    finished = {}
    write = Outputs.write

    def write_and_look(self, frame, *others):
        write(self, frame, *others)
        finished[frame.stream] = {name for name in os.listdir(tmp_path / 'out') if name.count('.') == 1}
    monkeypatch.setattr(Outputs, 'write', write_and_look)
    sources = open_sources([place.format(folder)])
    detect_sources(make_detector(), sources, str(tmp_path / 'out'), str(tmp_path / 'lines.jsonl'))
    lines = [(line['stream'], line['frame_id'], line['reset']) for line in lines_of(tmp_path / 'lines.jsonl')]
    assert lines == [(name, k, None if k else 'new')
                     for name, n in (('1.mp4', 3), ('2.mp4', 2), ('10.mp4', 4)) for k in range(n)]
    assert {name: len(VideoFile(tmp_path / 'out' / name)) for name in os.listdir(tmp_path / 'out')} == {
        '1.mp4': 3, '2.mp4': 2, '10.mp4': 4}
    assert finished == {'1.mp4': set(), '2.mp4': {'1.mp4'}, '10.mp4': {'1.mp4', '2.mp4'}}


@needs_proc
@pytest.mark.parametrize('most_open', [1, 3, 16])
def test_a_bounded_number_of_files_is_open_at_a_time(make_detector, video_file, tmp_path, monkeypatch, most_open):
    paths = [str(video_file(f'{k}.mp4', n=1 + k % 3, height=128, width=128)) for k in range(8)]
    counts = []

    def count(*_):
        counts.append(len(open_files() & set(paths)))
    monkeypatch.setattr(Outputs, 'write', count)
    assert detect_sources(make_detector(capacity=8), open_sources(paths), most_open=most_open) == 15
    assert max(counts) <= most_open
    count()
    assert counts[-1] == 0


def test_a_run_of_a_folder_resumes(make_detector, folder, tmp_path):
    whole, path, state = tmp_path / 'whole.jsonl', tmp_path / 'lines.jsonl', str(tmp_path / 'state.pt')
    detect_sources(make_detector(), open_sources([str(folder)]), json_lines=str(whole), score_thr=0)
    detect_sources(make_detector(), open_sources([str(folder)]), json_lines=str(path), score_thr=0, max_frames=2,
                   save_state=state)
    detect_sources(make_detector(), open_sources([str(folder)]), json_lines=str(path), score_thr=0, resume_state=state)
    assert sorted(lines_of(path), key=str) == sorted(lines_of(whole), key=str)


def test_outputs_in_the_home_folder_may_be_written_short(make_detector, folder, tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    detect_sources(make_detector(), open_sources(['~/clips/2.mp4']), '~/o.mp4', '~/l.jsonl', save_state='~/s.pt')
    assert {'o.mp4', 'l.jsonl', 's.pt'} <= set(os.listdir(tmp_path))


@pytest.mark.parametrize(('key', 'numbers'), [('webcam_size', (0, 480)), ('webcam_size', (640, -1)), ('webcam_fps', 0)])
def test_a_webcam_setting_out_of_range_is_refused_with_its_flag(key, numbers):
    with pytest.raises(InputError, match=f'--{key.replace("_", "-")}'):
        open_sources(['0'], camera=CameraSettings(**{key: numbers}))
