"""Processes that are killed, interrupted and cut off from their cameras: what they wrote is whole, and goes on."""

import json
import random
import signal
import time

import av
import pytest

from tests.soak.program import Program, num_lines, save_checkpoint
from tests.soak.servers import Send, Stall, file_server, mjpeg_camera, mute_server
from tsm_det.video.video_file import VideoFile

FRAMES, KILLS = 400, 10  # per run, of which there are two


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp('weights') / 'tiny.pth')


@pytest.fixture
def videos(video_file):
    return [video_file(f'{name}.mp4', n=FRAMES) for name in ('east', 'west')]


def read(path):
    """Frame ids by stream, of a file whose every line must be whole."""
    content, ids = path.read_text(), {}
    assert content.endswith('\n')
    for line in map(json.loads, content.splitlines()):
        ids.setdefault(line['stream'], []).append(line['frame_id'])
    return ids


def num_frames(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def last_words(program):
    """The last line, once nobody saw a traceback."""
    assert 'Traceback' not in program.said(), program.said()
    return program.said().strip().splitlines()[-1]


@pytest.mark.parametrize('seed', [0, 1])
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(checkpoint, videos, tmp_path, seed):
    sources = videos[:seed + 1]
    lines, state, out = tmp_path / 'lines.jsonl', tmp_path / 'state.pt', tmp_path / 'drawn'
    whole = Program(checkpoint, *sources, '--json', tmp_path / 'whole.jsonl')
    assert whole.end() == 0, whole.said()
    rng, kills = random.Random(seed), []
    target = out if len(sources) > 1 else out / 'east.mp4'
    for k in range(KILLS):
        resume = ['--resume-state', state] if k else []
        program = Program(checkpoint, *sources, '--json', lines, '--out', target, '--save-state', state,
                          '--save-every', 5, *resume)
        place = num_lines(tmp_path / 'whole.jsonl') * (k + 1) // (KILLS + 1) + rng.randrange(30)
        program.wait_for(lambda place=place: num_lines(lines) >= place)
        program.stop(signal.SIGKILL)
        cut = lines.read_bytes()
        read_to = cut.count(b'\n')
        assert (tmp_path / 'whole.jsonl').read_bytes().startswith(cut[:cut.rindex(b'\n') + 1])
        playable = num_frames(out / 'east.part.mp4')
        kills.append((read_to, playable))
        assert state.is_file()
    last = Program(checkpoint, *sources, '--json', lines, '--out', target, '--resume-state', state)
    assert last.end() == 0, last.said()
    print(f'\n{len(sources)} sources, (lines, frames that play in the first video) at each kill: {kills}')
    assert lines.read_bytes() == (tmp_path / 'whole.jsonl').read_bytes()
    assert len(list(out.glob('east.*.mp4'))) == KILLS


@pytest.mark.parametrize('end', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('number', [1, 2])
def test_ctrl_c_and_a_polite_kill_end_files_cleanly(checkpoint, videos, tmp_path, number, end):
    lines, out = tmp_path / 'lines.jsonl', tmp_path / 'drawn'
    program = Program(checkpoint, *videos[:number], '--json', lines, '--out', out if number == 2 else out / 'east.mp4')
    program.wait_for(lambda: num_lines(lines) > 60)
    seconds = program.stop(end)
    ids = read(lines)
    print(f'\n{end.name} with {number} sources: {sum(map(len, ids.values()))} lines, ended after {seconds:.2f} s')
    assert (program.end(), last_words(program)) == (128 + end, 'interrupted: what was written so far is kept')
    assert all(seen == list(range(len(seen))) for seen in ids.values())
    assert {path.name for path in out.iterdir()} == {'east.mp4', 'west.mp4'} if number == 2 else {'east.mp4'}
    for path in out.iterdir():
        assert abs(len(VideoFile(path)) - len(ids[path.name])) <= 1
    assert seconds < 5


@pytest.mark.parametrize('script', [[[Send(5000, fps=25)]], [[Send(60), Stall(999)], [Stall(999)]]],
                         ids=['running', 'silent'])
def test_ctrl_c_does_not_wait_for_a_camera(checkpoint, tmp_path, video_frame, script):
    lines = tmp_path / 'lines.jsonl'
    with mjpeg_camera(script, video_frame) as (camera, address):
        program = Program(checkpoint, address, '--json', lines, '--out', tmp_path / 'out.mp4', '--stall-limit', 60,
                          '--save-state', tmp_path / 'state.pt')
        program.wait_for(lambda: num_lines(lines) > 2 and camera.sent >= 60)
        time.sleep(2)  # what is on its way arrives; a silent camera is silent now
        seconds = program.stop(signal.SIGINT)
    print(f'\nCtrl-C with a camera: {num_lines(lines)} lines, ended after {seconds:.2f} s')
    assert (program.end(), last_words(program)) == (130, 'interrupted: what was written so far is kept')
    assert [len(VideoFile(tmp_path / 'out.mp4'))] == [len(seen) for seen in read(lines).values()]
    assert (tmp_path / 'state.pt').is_file()
    assert seconds < 5


def test_a_camera_that_dies_ends_the_run_in_one_sentence_after_the_others(checkpoint, videos, tmp_path, video_frame):
    lines = tmp_path / 'lines.jsonl'
    with mjpeg_camera([[Send(50), Stall(999)], [Stall(999)]], video_frame) as (_, address):
        program = Program(checkpoint, address, videos[0], '--json', lines, '--out', tmp_path / 'out',
                          '--stall-limit', 3)
        status = program.end()
    ids = read(lines)
    assert (status, last_words(program)) == (
        2, f'error: {address} gave no frame for 3 s: check the camera and the network, or raise --stall-limit')
    assert ids['east.mp4'] == list(range(FRAMES))
    assert len(ids[address]) > 2
    assert len(list((tmp_path / 'out').glob('*.mp4'))) == 2


def test_an_address_that_does_not_answer_gets_one_sentence(checkpoint, tmp_path):
    (tmp_path / 'page.html').write_text('<p>no video</p>' * 99)
    with mute_server() as place, file_server(tmp_path / 'page.html', []) as (_, page):
        for address in (f'rtsp://{place}/1', f'http://{place}/', page, 'http://127.0.0.1:1/', 'rtsp://127.0.0.1:1/',
                        '/dev/video99'):
            program = Program(checkpoint, address, '--stall-limit', 1)
            status, words = program.end(), last_words(program)
            print(f'\n{status}: {words}')
            assert status == 2
            assert words.startswith(f'error: nothing can be read from {address} (')


def test_a_full_disk_gets_one_sentence(checkpoint, videos):
    program = Program(checkpoint, videos[0], '--json', '/dev/full')
    assert program.end() == 2
    assert '/dev/full cannot be written (No space left on device)' in last_words(program)
